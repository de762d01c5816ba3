"""Drift that hurts becomes an event, and the event a run of the retraining deployment: once, on a real server."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.events import DeploymentEventTrigger
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.watch import watch
from tasks.decisions import decisions
from tasks.watch.watch import unanswered
from tests.support.registries import own_home
from tests.support.servers import post, prefect_server
from tests.support.watched import FIRST_DAY, NAME, Clips, add_champion, cameras, comes_in, watch_params, write_params

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NOW = FIRST_DAY + timedelta(days=10)
_PATIENCE_S, _QUIET_S = 40, 6


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with params.yaml, a champion, and strange video that has come in, labelled otherwise than it sees it."""
    with own_home(tmp_path / "home"):
        add_champion(tmp_path / "champion")
        comes_in(Clips(cameras(40, 60), days=(8,), strange=True), wrong=True)
        (tmp_path / "checkout").mkdir()
        write_params(tmp_path / "checkout" / "params.yaml", watch_params(attempts=2))
        monkeypatch.chdir(tmp_path / "checkout")
        yield tmp_path


def deploy(url: str) -> str:
    """The deployment that infra/prefect.yaml describes, with its trigger; its id."""
    described = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())["deployments"]
    (retrain,) = [deployment for deployment in described if deployment["name"] == "retrain"]
    limit = {
        "concurrency_limit": retrain["concurrency_limit"]["limit"],
        "concurrency_options": {"collision_strategy": retrain["concurrency_limit"]["collision_strategy"]},
    }
    flow = post(f"{url}/flows/", {"name": "train"})
    made = post(f"{url}/deployments/", {"name": "retrain", "flow_id": flow["id"], **limit})
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        for described in retrain["triggers"]:
            trigger = DeploymentEventTrigger.model_validate({**described, "name": "retrain"})
            trigger.set_deployment_id(made["id"])
            client.request("POST", "/automations/", json=trigger.as_automation().model_dump(mode="json"))
    return str(made["id"])


def look(url: str, now: datetime) -> str:
    with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_TO_API_ENABLED: False}):
        action = watch(now=now).action
        EventsWorker.drain_all(timeout=20)  # Prefect's own events, before their server goes
        return action


def runs(url: str, at_least: int, within_s: float) -> list[dict[str, Any]]:
    """Runs of the retraining deployment, waited for."""
    only = {"deployments": {"name": {"any_": ["retrain"]}}}
    deadline = time.monotonic() + within_s
    while True:
        found: list[dict[str, Any]] = post(f"{url}/flow_runs/filter", only)
        if len(found) >= at_least or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def crash(url: str, run: dict[str, Any]) -> None:
    lost = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
    post(f"{url}/flow_runs/{run['id']}/set_state", lost)


def test_drift_starts_one_retraining_whatever_is_repeated_restarted_or_lost(place: Path) -> None:
    with prefect_server(place / "prefect") as url:
        deploy(url)
        assert look(url, NOW) == "retrain"
        (run,) = runs(url, 1, _PATIENCE_S)
    (decision,) = unanswered(NAME, 1)
    assert run["parameters"] == {"decision": decision.key}
    with prefect_server(place / "prefect") as url:
        assert look(url, NOW) == "retrain"
        assert [found["id"] for found in runs(url, 2, _QUIET_S)] == [run["id"]]
        crash(url, run)
        assert look(url, NOW) == "retrain", "it is the same watch, done again"
        (again,) = [found for found in runs(url, 2, _PATIENCE_S) if found["id"] != run["id"]]
        assert again["parameters"] == {"decision": decision.key}
        crash(url, again)
        assert look(url, NOW + timedelta(days=1)) == "nothing"
        assert len(runs(url, 3, _QUIET_S)) == 2, "two attempts are all that params.yaml allows"
        write_params(place / "checkout" / "params.yaml", watch_params(attempts=3))
        assert look(url, NOW + timedelta(days=1)) == "nothing"
        assert [found["parameters"] for found in runs(url, 3, _PATIENCE_S)] == [{"decision": decision.key}] * 3
    assert [row.evidence["action"] for row in decisions(None, NAME, "watch")] == ["nothing", "nothing", "retrain"]
