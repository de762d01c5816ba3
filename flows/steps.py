"""The steps of a round as Prefect tasks: names, retries and artifacts; what they do is in ``tasks``."""

import time
from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from models.errors import UserError
from tasks import workspace
from tasks.gate.verdict import Verdict
from tasks.ingest import IngestSummary
from tasks.summary import Timed, stopwatch
from tasks.workspace import Workspace


def _worth_a_second_try(_task: Any, _run: Any, state: Any) -> bool:
    """Whether waiting can mend it: a person's mistake stays one."""
    return not isinstance(state.result(raise_on_failure=False), UserError)


# These touch the outside world; each is idempotent, so that a lost answer is asked for again.
OUTSIDE: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _worth_a_second_try,
}


@task(**OUTSIDE)
def ingest(work: Workspace) -> Timed[IngestSummary]:
    """Bring the source's new video, and what came in and has labels, into the dataset; a commit names its version.

    With ``pseudo.enabled`` the champion labels some of what came in and has none.
    """
    from tasks.ingest import counted_anew
    from tasks.ingest import ingest as bring_in
    from tasks.layout import DATA
    from tasks.sources.address import source_at

    params = work.params
    with stopwatch() as clock:
        source, data = source_at(work.source), work.root / DATA
        summary = bring_in(source, data, params.ingest, params.split, seed=params.base.seed)
        from tasks.watch.adopt import adopt
        from tasks.watch.pseudo_labels import take_pseudo_labels  # torch: after a mistake in the source was said

        adopt(data, params.ingest, params.split, seed=params.base.seed)
        pseudo = take_pseudo_labels(data, params)
        summary = counted_anew(summary, data, pseudo)
        version = workspace.add_data(work)
        workspace.commit_data(work, f"data: {summary.clips} clips, {summary.sources} sources ({version[:8]})")
    return Timed(summary, clock.seconds)


@task(**OUTSIDE)
def keep_data(work: Workspace) -> None:
    """Let the next round start from the dataset as it is now, and from the last round's results."""
    workspace.publish(work, workspace.commit(work, f"data: {work.name}"))


@task(**OUTSIDE)
def warm_start(work: Workspace) -> bool:
    """Bring the champion into the workspace where there is something that it does not know."""
    from tasks.warm_start import warm_start as bring_in

    started = bring_in(work.root, work.params)
    if started:
        workspace.add_champion(work)
    return started


@task(cache_policy=NO_CACHE)
def check_floors(work: Workspace) -> None:
    """Find a misspelt floor of section judge before hours of training; no stage, as floors change none of its files."""
    from tasks.gate.floors import demand_known_floors

    demand_known_floors(work.root, work.params.judge, work.params.watch)


@task(cache_policy=NO_CACHE)
def reproduce(work: Workspace, stage: str) -> Timed[bool]:
    """Run one DVC stage unless it is up to date; the value says whether it ran."""
    with stopwatch() as clock:
        ran = workspace.reproduce(work, stage, flow_run=str(flow_run.id or ""))
    return Timed(ran, clock.seconds)


@task(cache_policy=NO_CACHE)
def seal(work: Workspace) -> str:
    """Commit the round's results; an unchanged state keeps the commit it has."""
    return workspace.commit(work, f"round: {work.name}")


@task(**OUTSIDE)
def register(work: Workspace, commit: str) -> Timed[int]:
    """Register the model under its commit; the same state gives the same version."""
    from tasks.register import register as enter

    with stopwatch() as clock:
        dataset = workspace.dataset_version(work.root)
        version = enter(work.root, work.params, commit=commit, dataset_version=dataset, round_name=work.name)
    return Timed(version, clock.seconds)


@task(**OUTSIDE)
def judge(work: Workspace, version: Timed[int]) -> Timed[Verdict]:
    """Compare the version with the champion on the same clips."""
    from tasks.judge import judge as compare

    with stopwatch() as clock:
        verdict = compare(work.root, work.params, version.value)
    return Timed(verdict, clock.seconds)


@task(**OUTSIDE)
def introduce(work: Workspace, version: Timed[int], verdict: Timed[Verdict]) -> None:
    """Make the version challenger; champion where params.yaml lets it as the first, or for a clear win."""
    from tasks.promote import introduce as present
    from tasks.promote import promote_clear_win

    name = work.params.base.name
    present(name, version.value, work.params.promote)
    promote_clear_win(name, verdict.value, work.params.judge)


@task(**OUTSIDE)
def answer(
    work: Workspace, decision: str | None, version: Timed[int], started: float, training: Sequence[Timed[bool]]
) -> None:
    """Write down that the round which the watch decided on has ended, and what it took."""
    if decision:
        from tasks.watch.watch import answer as note

        hours, training_s = (time.time() - started) / 3600, sum(stage.seconds for stage in training if stage.value)
        note(work.params.base.name, decision, version=version.value, hours=hours, training_s=training_s)


def is_answered(decision: str | None) -> bool:
    """Whether the round that the watch decided on has ended: its event may come twice."""
    if decision is None:
        return False
    from tasks.watch.watch import is_answered as ended

    return ended(decision)


@task(**OUTSIDE)
def publish(work: Workspace, commit: str, version: Timed[int]) -> None:
    """Let the next round start from this one, and show people where it ended."""
    from tasks.summary import report_address
    from tasks.tracking import end_round

    workspace.publish(work, commit)
    end_round(work.params.base.name, work.name)
    create_link_artifact(
        key="report",
        link=report_address(work.params.base.name, version.value),
        link_text=f"{work.params.base.name} version {version.value}",
        description=f"Report of {work.name}",
    )
