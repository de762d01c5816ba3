"""The steps of a watch as Prefect tasks, and the event that starts a retraining."""

import logging
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.events import Event, Resource

from flows.steps import OUTSIDE
from tasks.decisions import Decision
from tasks.params_file import PARAMS_FILE, load_params
from tasks.settings import main_checkout, settings
from tasks.watch.watch import Watched, unanswered

logger = logging.getLogger(__name__)

DRIFT = "video.drift.detected"
_NAMESPACE = uuid.UUID("3f0f6a52-5f0e-4a55-9a3f-6d8a5c1d9e77")
_FAILED = ("FAILED", "CRASHED")
_UNDER_WAY = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")


@task(**OUTSIDE)
def look(source: str | None, now: datetime | None, labelled: bool) -> Watched | None:
    """Take in what is new, test it, decide, and write the decision down once; None without a champion."""
    from tasks.serve.prediction_log import read_predictions
    from tasks.sources.address import source_at
    from tasks.watch.watch import watch

    incoming = source or settings().incoming
    params = load_params(main_checkout() / PARAMS_FILE)
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    since = moment - timedelta(days=params.watch.window_days)
    served = read_predictions(settings().home, params.base.name, since)
    return watch(params, moment, source_at(incoming) if incoming else None, has_labels=labelled, served=served)


@task(**OUTSIDE)
def show(found: Watched) -> None:
    """Put the watch on a page: in MLflow with its figures, and linked from here."""
    from tasks.watch.page import publish

    name, decision = found.champion.name, found.decision
    create_markdown_artifact(f"**{decision.what}** {decision.why}", key="watch", description=f"Watch of {name}")
    if address := publish(found, load_params(main_checkout() / PARAMS_FILE)):
        create_link_artifact(link=address, link_text=f"Watch of {name}", key="watch-report", description=decision.what)


@task(**OUTSIDE)
def announce(found: Watched) -> None:
    """Emit an event for each decision to retrain that no round has answered, unless one is at it.

    So an event that was lost is emitted again by the next watch. The event's id is made of the decision, of the watch
    and of the number of runs that there were: a watch that is done again emits the same event, which the server takes
    once, and another one when the run that came of it has died.
    """
    attempts = load_params(main_checkout() / PARAMS_FILE).watch.attempts
    for decision in unanswered(found.champion.name, found.champion.version):
        states = _states_of_runs(decision.key)
        failed = sum(state in _FAILED for state in states)
        if any(state in _UNDER_WAY for state in states):
            logger.info("a retraining for %s is under way", decision.key)
        elif failed >= attempts:
            logger.warning(
                "%d rounds for %s have failed, and no more are started; see why in the Prefect UI, and raise "
                "watch.attempts in params.yaml to let the watch start another",
                failed,
                decision.key,
            )
        else:
            occasion = f"{found.findings.key} {len(states)}"
            _emit([_event(decision, group, occasion) for group in decision.evidence["groups"][:1]])


def _event(decision: Decision, group: str, occasion: str) -> Event:
    shown = {
        key: decision.evidence[key] for key in ("version", "groups", "evidence", "limit", "alarm", "tests", "harm")
    }
    return Event(
        id=uuid.uuid5(_NAMESPACE, f"{decision.key} {occasion}"),
        event=DRIFT,
        resource=Resource.model_validate({"prefect.resource.id": f"video-source.{group}"}),
        payload={"decision": decision.key, "name": decision.subject, "why": decision.why, **shown},
    )


def _emit(events: list[Event]) -> None:
    """Hand events to the server and wait until it has them; Prefect's own emitter may lose the last ones at exit."""
    content: list[Any] = [event.model_dump(mode="json") for event in events]
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=content)


def _states_of_runs(decision: str) -> list[str]:
    """The states of the server's runs for ``decision``, the latest first."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["train"])), sort=FlowRunSort.EXPECTED_START_TIME_DESC
        )
    return [run.state.type.value for run in runs if run.state and run.parameters.get("decision") == decision]


def is_taken_up(decision: str) -> bool:
    """Whether the server has a run for ``decision`` that has not ended."""
    return any(state in _UNDER_WAY for state in _states_of_runs(decision))
