"""A job as a process: killed at any instant, and asked to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.dataset import write_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("processes") / "data", ("left", "right", "up"), 4)


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Digest of the weights, and the validation losses."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(data, folder).wait() == 0
    return (folder / "out").read_text().split()


def start(data: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.jobs", str(data), str(folder), str(folder / "out")],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def wait_for(process: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    while not reached():
        assert process.poll() is None, "it ended before it was reached"
        time.sleep(0.002)


def newest(folder: Path) -> str:
    return max((path.name for path in (folder / "checkpoints").glob("0*.pt")), default="")


@pytest.mark.integration
def test_killed_at_several_instants_it_ends_with_the_same_bytes(
    data: Path, tmp_path: Path, undisturbed: list[str]
) -> None:
    for instant in ("000000-000000004", "000002-000000003", "000003-000000007"):
        process = start(data, tmp_path)
        wait_for(process, lambda instant=instant: newest(tmp_path) >= instant)  # type: ignore[misc]
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert start(data, tmp_path).wait() == 0
    assert (tmp_path / "out").read_text().split() == undisturbed


@pytest.mark.integration
def test_asked_to_stop_it_keeps_what_it_has_and_goes_on(data: Path, tmp_path: Path, undisturbed: list[str]) -> None:
    process = start(data, tmp_path)
    wait_for(process, lambda: newest(tmp_path) >= "000002-000000002")
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert "stopped in epoch" in (tmp_path / "log").read_text()
    assert start(data, tmp_path).wait() == 0
    assert (tmp_path / "out").read_text().split() == undisturbed
