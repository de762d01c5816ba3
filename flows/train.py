"""One round: from labelled video to a judged model. ``videoloop run`` and the nightly deployment run this flow."""

from prefect import flow

from flows.steps import ingest, introduce, judge, publish, register, reproduce, seal, warm_start
from tasks.summary import Round, summarise
from tasks.workspace import last_source, round_workspace

STAGES = ("validate", "search", "fine_tune", "evaluate", "report")


@flow(name="train")
def train(source: str | None = None) -> Round:
    """Ingest ``source`` (default: that of the last round), train on, register and judge; people promote."""
    with round_workspace(source or last_source()) as work:
        ingested = ingest(work)
        warm_start(work)
        stages = {stage: reproduce.with_options(name=stage)(work, stage) for stage in STAGES}
        commit = seal(work)
        version = register(work, commit)
        verdict = judge(work, version)
        introduce(work, version)
        publish(work, commit, version)
        return summarise(work, version, verdict, ingested, stages)
