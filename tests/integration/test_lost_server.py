"""Prefect's server is lost while a flow runs: the process says so, and ends soon, whatever it has not got rid of."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.process import die_with_parent
from tests.support.servers import prefect_server

pytestmark = pytest.mark.integration

_FLOW = """
import sys, time
from pathlib import Path
from flows.lost_server import leave, lost_server_in_words
from tasks.process import readable
from prefect import flow
from prefect.events import emit_event

@flow
def train():
    emit_event("videoloop.test", {"prefect.resource.id": "test"})
    time.sleep(5)  # until it is connected: without a connection Prefect forgets events at once
    Path(sys.argv[1], "under-way").touch()
    while not Path(sys.argv[1], "lost").exists():
        time.sleep(0.1)
    for number in range(100):
        emit_event("videoloop.test", {"prefect.resource.id": f"test.{number}"})

def main():
    with lost_server_in_words():
        train()

code = readable(main)
print("ended", flush=True)
Path(sys.argv[1], "ended").touch()
leave(code, 5.0)
"""
_PATIENCE_S, _SOON_S = 120, 40


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.1)


def test_a_process_whose_server_is_lost_says_so_and_ends_soon(tmp_path: Path) -> None:
    with prefect_server(tmp_path / "prefect") as url:
        env = {**os.environ, "PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "0"}
        process = subprocess.Popen(
            [sys.executable, "-c", _FLOW, str(tmp_path)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        wait_for(tmp_path / "under-way")
    (tmp_path / "lost").touch()
    try:
        wait_for(tmp_path / "ended")
        ended = time.monotonic()
        said, complained = process.communicate(timeout=_PATIENCE_S)
        assert time.monotonic() - ended < _SOON_S
    finally:
        process.kill()
    assert (process.returncode, said) == (2, "ended\n")
    assert f"error: Prefect's server at {url} does not answer any more" in complained
    assert "its record of this run lacks the last events" in complained
