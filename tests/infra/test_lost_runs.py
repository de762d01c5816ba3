"""Runs whose process and worker are gone are told to have crashed, and no others."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from infra.lost_runs import report_lost_runs

API = "http://prefect/api"


class Server(requests.Session):
    """Answers as Prefect's server that has these runs, and notes what it is told."""

    def __init__(self, *runs: dict[str, Any]) -> None:
        super().__init__()
        self.runs = list(runs)
        self.asked: dict[str, Any] = {}
        self.told: dict[str, dict[str, str]] = {}

    def post(self, url: str, json: Any = None, **_options: Any) -> requests.Response:  # type: ignore[override]
        answer = requests.Response()
        answer.status_code = 200
        answer.json = lambda: self.runs  # type: ignore[method-assign]
        if url == f"{API}/flow_runs/filter":
            self.asked = json
        else:
            self.told[url] = json["state"]
        return answer


def run(name: str, worker: str | None = "here") -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "labels": {"prefect.worker.name": worker} if worker else {}}


@pytest.fixture
def alive() -> Iterator[str]:
    """The name of a run that a process works on."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={"PREFECT__FLOW_RUN_ID": "id-alive"}) as process:
        yield "alive"
        process.kill()


def test_a_run_without_a_process_has_crashed() -> None:
    server = Server(run("lost"))
    assert report_lost_runs(server, API, pool="pool", worker="here") == ["lost"]
    assert server.told[f"{API}/flow_runs/id-lost/set_state"]["type"] == "CRASHED"


def test_only_runs_of_the_pool_that_have_not_ended_are_asked_for() -> None:
    server = Server()
    assert report_lost_runs(server, API, pool="pool", worker="here") == []
    assert server.asked["work_pools"] == {"name": {"any_": ["pool"]}}
    assert server.asked["flow_runs"] == {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}


def test_a_run_that_was_claimed_and_not_started_is_lost_too() -> None:
    assert report_lost_runs(Server(run("claimed", worker=None)), API, pool="pool", worker="here") == ["claimed"]


def test_a_run_whose_process_outlived_its_worker_is_left_alone(alive: str) -> None:
    server = Server(run(alive))
    assert report_lost_runs(server, API, pool="pool", worker="here") == []
    assert server.told == {}


def test_the_runs_of_another_machine_are_left_alone() -> None:
    server = Server(run("elsewhere", worker="there"))
    assert report_lost_runs(server, API, pool="pool", worker="here") == []
    assert server.told == {}
