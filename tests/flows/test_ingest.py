from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from flows.ingest import ingest
from infra import automations
from tasks.settings import settings
from tasks.workspace import RoundAtWorkError


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the flow does, in order; the steps themselves are those of a round."""
    steps: list[str] = []

    @contextmanager
    def workspace(source: str, *, kind: str) -> Iterator[str]:
        steps.append(f"{kind} {source}")
        yield "work"

    def bring_in(work: str) -> Any:
        steps.append("ingest")
        return SimpleNamespace(value="summary")

    monkeypatch.setattr("flows.ingest.round_workspace", workspace)
    monkeypatch.setattr("flows.ingest.bring_in", bring_in)
    monkeypatch.setattr("flows.ingest.keep_data", lambda work: steps.append("keep"))
    monkeypatch.delenv("VIDEOLOOP_SOURCE", raising=False)
    settings.cache_clear()
    return steps


def test_without_a_source_there_is_nothing_to_do(done: list[str]) -> None:
    assert ingest.fn() is None
    assert done == []


def test_what_the_environment_names_is_brought_in_and_kept(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOLOOP_SOURCE", "s3://films/set")
    settings.cache_clear()
    assert ingest.fn() == "summary"
    settings.cache_clear()
    assert done == ["ingest s3://films/set", "ingest", "keep"]


def test_a_round_at_work_is_no_failure(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(source: str, *, kind: str) -> Any:
        raise RoundAtWorkError("another round is at work")

    monkeypatch.setattr("flows.ingest.round_workspace", taken)
    assert ingest.fn("s3://films/set") is None


def test_the_deployment_runs_every_hour() -> None:
    described = yaml.safe_load((automations.FILE.parent / "prefect.yaml").read_text())["deployments"]
    [incoming] = [deployment for deployment in described if deployment["entrypoint"] == "flows/ingest.py:ingest"]
    assert incoming["schedules"] == [{"cron": "10 * * * *", "timezone": "UTC"}]
