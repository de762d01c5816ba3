"""One round: from labelled video to a judged model. ``videoloop run`` and the deployments run this flow."""

import time

from prefect import flow

from flows.steps import (
    answer,
    check_floors,
    ingest,
    introduce,
    is_answered,
    judge,
    publish,
    register,
    reproduce,
    seal,
    warm_start,
)
from tasks.summary import Round, summarise
from tasks.workspace import last_source, round_workspace

TRAINING = ("pretrain", "search", "fine_tune")
STAGES = ("validate", "pretrain", "search", "fine_tune", "evaluate", "export", "reference", "report")


@flow(name="train")
def train(source: str | None = None, decision: str | None = None) -> Round | None:
    """Ingest ``source`` (default: that of the last round), train on, register and judge; people or policy promote.

    A watch that found harmful drift names its ``decision``; a round that has ended for it is not run again.
    """
    if is_answered(decision):
        return None
    started = time.time()
    with round_workspace(source or last_source()) as work:
        ingested = ingest(work)
        warm_start(work)
        check_floors(work)
        stages = {stage: reproduce.with_options(name=stage)(work, stage) for stage in STAGES}
        commit = seal(work)
        version = register(work, commit)
        verdict = judge(work, version)
        introduce(work, version, verdict)
        publish(work, commit, version)
        answer(work, decision, version, started, [stages[stage] for stage in TRAINING])
        return summarise(work, version, verdict, ingested, stages)
