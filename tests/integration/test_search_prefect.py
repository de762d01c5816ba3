"""Slots and task runs on a real Prefect server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.servers import post, prefect_server
from tests.support.trials import FakeTrials

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
_SEARCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from pathlib import Path
from tasks.params.whole import BaseParams
from tasks.process import speak
from tasks.search import search
from tasks.studies.launch import Launcher
from tests.support.trials import MODEL, search_params
speak()
folder = Path(sys.argv[1])
search(
    BaseParams(name="demo"), MODEL, search_params(trials=6, slots=4), data=folder / "data", out=folder / "results",
    launcher=Launcher((sys.executable, "-S", str(folder / "fake_trial.py"))),
)
print(sorted(name for name in ("prefect", "torch") if name in sys.modules))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url


class Folder:
    """A search in a process of its own, on trials that take no time."""

    def __init__(self, path: Path, server: str = "", slot: str = "videoloop-device") -> None:
        self.trials = FakeTrials(path)
        self.flow_run = _flow_run(server) if server else ""
        self._path = path
        self._environment = {
            **os.environ,
            "VIDEOLOOP_HOME": str(path / "home"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{path.parent}/mlflow.db",  # making one takes seconds
            "PREFECT_API_URL": server,
            "VIDEOLOOP_SLOT": slot,
            "VIDEOLOOP_FLOW_RUN": self.flow_run,
        }
        (path / "data").mkdir()
        (path / "data" / "manifest.parquet").write_bytes(b"clips")

    @contextmanager
    def start(self) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, "-c", _SEARCH, str(self._path)],
            cwd=ROOT, env=self._environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as search:  # fmt: skip
            try:
                yield search
            finally:
                search.kill()

    def finish(self, search: subprocess.Popen[str]) -> str:
        said, _ = search.communicate(timeout=120)
        assert (self._path / "results" / "best_params.json").exists(), said
        assert search.returncode == 0, said
        return said


def _flow_run(server: str) -> str:
    flow = post(f"{server}/flows/", {"name": "train"})
    return str(post(f"{server}/flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING"}})["id"])


def make_limit(server: str, name: str, limit: int) -> None:
    post(f"{server}/v2/concurrency_limits/", {"name": name, "limit": limit})


def slots_taken(server: str, name: str) -> int:
    answer = requests.get(f"{server}/v2/concurrency_limits/{name}", timeout=30)
    answer.raise_for_status()
    return int(answer.json()["active_slots"])


def spans(runs: list[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    return sorted((datetime.fromisoformat(run["start_time"]), datetime.fromisoformat(run["end_time"])) for run in runs)


def test_trials_are_task_runs_of_the_flow_run_and_take_turns_on_its_slots(server: str, tmp_path: Path) -> None:
    make_limit(server, "one", 1)
    folder = Folder(tmp_path, server, slot="one")
    folder.trials.behave({0.0105: "crash"})
    with folder.start() as search:
        folder.finish(search)
    runs = post(f"{server}/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [folder.flow_run]}}})
    assert sorted(run["name"] for run in runs) == [f"trial {number}" for number in range(6)]
    crashed = [run for run in runs if run["state_type"] == "FAILED"]
    assert crashed
    assert "no such luck" in crashed[0]["state"]["message"]
    assert {run["state_type"] for run in runs} == {"COMPLETED", "FAILED"}
    ordered = spans(runs)
    assert all(end <= start for (_, end), (start, _) in pairwise(ordered))
    assert slots_taken(server, "one") == 0


def test_a_limit_that_does_not_exist_is_no_free_pass(server: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path, server, slot="nowhere")
    with folder.start() as search:
        said, _ = search.communicate(timeout=120)
    assert search.returncode == 1
    assert "UserError: the Prefect server has no concurrency limit 'nowhere' (VIDEOLOOP_SLOT)" in said
    assert "videoloop up" in said
    assert folder.trials.told == []


@pytest.fixture
def taken(server: str) -> tuple[str, str]:
    """A limit of one slot, and the lease that holds it."""
    name = f"taken-{time.monotonic_ns()}"
    make_limit(server, name, 1)
    wanted = {"names": [name], "slots": 1, "mode": "concurrency", "lease_duration": 300}
    return name, post(f"{server}/v2/concurrency_limits/increment-with-lease", wanted)["lease_id"]


def task_run_of(server: str, folder: Folder, state: str) -> str:
    """The first trial's task run, once it is in ``state``."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.2)
        for run in post(f"{server}/task_runs/filter", {"sort": "EXPECTED_START_TIME_DESC"}):
            if run["flow_run_id"] == folder.flow_run and run["state_type"] == state:
                return str(run["name"])
    raise TimeoutError(state)


def test_a_search_waits_for_its_slot(server: str, tmp_path: Path, taken: tuple[str, str]) -> None:
    name, lease = taken
    folder = Folder(tmp_path, server, slot=name)
    with folder.start() as search:
        assert task_run_of(server, folder, "PENDING") == "trial 0"
        assert folder.trials.told == []
        post(f"{server}/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})
        folder.finish(search)
    assert len(folder.trials.told) == 6


def test_a_search_that_is_interrupted_while_it_waits_says_so(
    server: str, tmp_path: Path, taken: tuple[str, str]
) -> None:
    folder = Folder(tmp_path, server, slot=taken[0])
    with folder.start() as search:
        task_run_of(server, folder, "PENDING")
        search.send_signal(signal.SIGINT)
        said, _ = search.communicate(timeout=60)
        assert "KeyboardInterrupt" in said
        assert task_run_of(server, folder, "CRASHED") == "trial 0"
    assert folder.trials.told == []


def test_a_server_that_dies_does_not_stop_the_search(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with prefect_server(tmp_path / "prefect") as url:
            make_limit(url, "videoloop-device", 2)
            folder = Folder(tmp_path, url)
            folder.trials.behave({0.0: "slow"})
            search = stack.enter_context(folder.start())
            while len(folder.trials.told) < 2 and search.poll() is None:
                time.sleep(0.05)
        said = folder.finish(search)
    assert len(folder.trials.told) == 6
    # While it dies it may answer once more.
    assert said.count("Prefect does not answer, so trials go on without its slots") == 1 + said.count("answers again")


def test_without_a_server_nothing_of_prefect_is_imported(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with folder.start() as search:
        assert folder.finish(search).splitlines()[-1] == "[]"
