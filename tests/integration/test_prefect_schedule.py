"""A broken pin of SQLAlchemy or FastAPI shows here: schedules that never fire, deployments that cannot be read."""

import time
from pathlib import Path

import pytest

from tests.support.servers import post, prefect_server

pytestmark = pytest.mark.integration


def test_an_interval_deployment_ticks_and_deployments_read_back(tmp_path: Path) -> None:
    with prefect_server(tmp_path) as url:
        flow = post(f"{url}/flows/", {"name": "tick"})
        schedule = {"schedule": {"interval": 5, "anchor_date": "2026-01-01T00:00:00Z"}, "active": True}
        deployment = post(
            f"{url}/deployments/",
            {
                "name": "every-five-seconds",
                "flow_id": flow["id"],
                "schedules": [schedule],
                "concurrency_options": {"collision_strategy": "CANCEL_NEW"},
                "global_concurrency_limit_id": None,
                "concurrency_limit": 1,
            },
        )
        found = post(f"{url}/deployments/filter", {"flows": None, "deployments": None, "limit": 10})
        assert [entry["name"] for entry in found] == ["every-five-seconds"]
        deadline = time.monotonic() + 60
        scheduled: list[object] = []
        while not scheduled and time.monotonic() < deadline:
            time.sleep(0.5)
            only = {"deployments": {"id": {"any_": [deployment["id"]]}}}
            scheduled = post(f"{url}/flow_runs/filter", only)
        assert scheduled, "the scheduler made no run within a minute"
