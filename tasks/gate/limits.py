"""What a challenger must hold whatever it gains: floors by class and group, latency, size."""

from collections.abc import Sequence

from tasks.gate.verdict import Cost, Slice
from tasks.params.quality import JudgeParams
from tasks.report.environment import visible


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
