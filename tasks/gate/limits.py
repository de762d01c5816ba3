"""What a challenger must hold whatever it gains: floors by class and group, latency, size."""

from collections.abc import Iterable, Sequence

import pandas as pd

from models.errors import UserError
from tasks.gate.verdict import Cost, Slice
from tasks.params import PARAMS_FILE, JudgeParams, WatchParams
from tasks.report.environment import visible
from tasks.watch.window import group_of


def demand_known_floors(manifest: pd.DataFrame, labels: Iterable[str], judge: JudgeParams, watch: WatchParams) -> None:
    """Check that floors are of classes and groups that exist: a misspelt floor would hold nothing.

    Args:
        manifest: The dataset's clips.
        labels: Classes of the models.
        judge: Section ``judge``.
        watch: Section ``watch``.

    Raises:
        UserError: One does not exist.
    """
    groups = {*watch.groups.values(), *(group_of(source, watch) for source in manifest["source_id"].unique())}
    classes = {*labels, *manifest["label"].dropna()}
    for field, floors, known in (
        ("class_floors", judge.class_floors, classes),
        ("group_floors", judge.group_floors, groups),
    ):
        if unknown := sorted(set(floors) - known):
            what = "label" if field == "class_floors" else "group or source"
            raise UserError(
                f"{PARAMS_FILE}: judge.{field}: {unknown[0]!r} is no {what} of this dataset; correct it or take it off "
                f"(known: {', '.join(sorted(known)[:20])})"
            )


def breaches(slices: Sequence[Slice], cost: Cost, params: JudgeParams) -> list[str]:
    """What is beyond its limit, as clauses; without a champion these are warnings, with one they block.

    A slice below its floor where the champion is no better is not among them: promoting the version harms nobody there.
    """
    low = [slice_ for slice_ in slices if (slice_.is_lowered if slice_.comparison else slice_.is_low)]
    return [*map(_below, low), *_beyond(cost, params)]


def tolerated(slices: Sequence[Slice]) -> list[str]:
    """Slices below their floor where the champion is no better, as clauses."""
    return [_below(slice_) for slice_ in slices if slice_.comparison and slice_.is_low and not slice_.is_lowered]


def _below(slice_: Slice) -> str:
    name, against = visible(slice_.name), ""
    if slice_.comparison and slice_.comparison.champion_accuracy is not None:
        against = f" (champion {slice_.comparison.champion_accuracy:.3f})"
    return f"{slice_.kind} {name} is at {slice_.accuracy:.3f}{against}, below its floor of {slice_.floor:g}"


def _beyond(cost: Cost, params: JudgeParams) -> list[str]:
    found: list[str] = []
    if params.max_slowdown is not None and cost.slowdown is not None and cost.slowdown > params.max_slowdown:
        found.append(
            f"a clip takes {cost.latency_ms:.1f} ms, {cost.slowdown:.2f} times the champion's "
            f"{cost.champion_latency_ms:.1f} ms, where {params.max_slowdown:g} times is the limit"
        )
    if params.max_latency_ms is not None and cost.latency_ms > params.max_latency_ms:
        found.append(f"a clip takes {cost.latency_ms:.1f} ms, where {params.max_latency_ms:g} ms is the limit")
    if params.max_size_mb is not None and cost.size_mb > params.max_size_mb:
        found.append(f"its weights have {cost.size_mb:.1f} MB, where {params.max_size_mb:g} MB is the limit")
    return found
