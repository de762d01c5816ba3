"""What the server does by itself, on a real one: a dead run has crashed, and a watch that is missing is told about."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import yaml

from infra.automations import FILE, set_up
from infra.servers import patient_session
from models.errors import UserError
from tasks.process import die_with_parent
from tests.support.servers import post, prefect_server

pytestmark = pytest.mark.integration

_ROUND = """
import time
from prefect import flow

@flow(name="train")
def train():
    time.sleep(600)

train()
"""
_PATIENCE_S = 240


def shortened(folder: Path, *within: int) -> Path:
    """The automations of the house, which wait for other times."""
    described = yaml.safe_load(FILE.read_text())
    for automation, seconds in zip(described["automations"], within, strict=True):
        automation["trigger"]["within"] = seconds
    (folder / "automations.yaml").write_text(yaml.safe_dump(described))
    return folder / "automations.yaml"


@contextmanager
def round_under_way(url: str) -> Iterator[subprocess.Popen[bytes]]:
    env = {**os.environ, "PREFECT_API_URL": url, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    process = subprocess.Popen([sys.executable, "-c", _ROUND], env=env, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def automations(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(f"{url}/automations/filter", {})
    return found


def states(url: str) -> list[str]:
    """Of all runs, the oldest first."""
    return [run["state"]["type"] for run in post(f"{url}/flow_runs/filter", {"sort": "START_TIME_ASC"})]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """The server without any automation."""
    for found in automations(server):
        requests.delete(f"{server}/automations/{found['id']}", timeout=30).raise_for_status()
    return server


def test_a_run_whose_process_died_has_crashed_and_one_that_lives_has_not(url: str, tmp_path: Path) -> None:
    set_up(patient_session(), url, file=shortened(tmp_path, 45, 10800))
    with round_under_way(url):
        wait_for(lambda: states(url) == ["RUNNING"])
        time.sleep(10)  # so much earlier it would crash if it gave no further sign of life
        with round_under_way(url) as died:
            wait_for(lambda: states(url) == ["RUNNING", "RUNNING"])
            time.sleep(2)  # the first sign of life is on its way
            died.send_signal(signal.SIGKILL)
            wait_for(lambda: "CRASHED" in states(url))
            assert states(url) == ["RUNNING", "CRASHED"]


def test_a_watch_that_is_due_and_does_not_run_is_told_about(url: str, tmp_path: Path) -> None:
    with hearing() as (address, heard):
        kind = requests.get(f"{url}/block_types/slug/custom-webhook", timeout=30).json()
        (schema,) = post(f"{url}/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})
        data = {"name": "test", "url": address, "method": "POST", "json_data": {"subject": "{{subject}}"}}
        own = {"block_type_id": kind["id"], "block_schema_id": schema["id"]}
        post(f"{url}/block_documents/", {"name": "pager", "data": data, **own})
        file = shortened(tmp_path, 45, 10)
        set_up(patient_session(), url, alert="custom-webhook/pager", file=file)
        wait_for(lambda: len(heard) > 0)
        assert b"videoloop: the watch does not run" in heard[0]
        only = {"filter": {"event": {"name": ["prefect.automation.triggered"]}}}
        wait_for(lambda: post(f"{url}/events/filter", only)["total"] > 0)
        with pytest.raises(
            UserError, match="VIDEOLOOP_ALERT: Prefect has no notification block 'custom-webhook/nobody'"
        ):
            set_up(patient_session(), url, alert="custom-webhook/nobody", file=file)


def test_what_is_there_is_left_alone_and_what_differs_is_made_as_described(url: str, tmp_path: Path) -> None:
    set_up(patient_session(), url)
    before = automations(url)
    assert [found["name"] for found in before] == [
        "videoloop: a run whose process died",
        "videoloop: the watch does not run",
    ]
    assert before[0]["trigger"]["within"] == 300
    set_up(patient_session(), url)
    assert automations(url) == before
    requests.patch(f"{url}/automations/{before[1]['id']}", json={"enabled": False}, timeout=30).raise_for_status()
    set_up(patient_session(), url, file=shortened(tmp_path, 60, 3600))
    after = automations(url)
    assert [found["id"] for found in after] == [found["id"] for found in before]
    assert [found["trigger"]["within"] for found in after] == [60, 3600]
    assert [found["enabled"] for found in after] == [True, False]


@contextmanager
def hearing() -> Iterator[tuple[str, list[bytes]]]:
    """Somebody who takes notifications: where, and what they said."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
