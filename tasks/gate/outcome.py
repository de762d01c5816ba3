"""From comparisons to an outcome, and from an outcome to sentences."""

from collections.abc import Sequence
from typing import Literal

from tasks.gate.listed import listed
from tasks.gate.verdict import Comparison, Outcome

MOST_CLAUSES = 10
"""So many limits a sentence names; the verdict and its page have all."""

Found = Literal["better", "not worse", "worse", "undecided"]


def world_outcome(comparison: Comparison, tolerance: float) -> Found:
    """What the interval of a difference in accuracy says.

    ``better``: it lies above zero. ``not worse``: it lies above minus the tolerance. ``worse``: it lies below zero.
    ``undecided``: none of these.
    """
    if comparison.low > 0:
        return "better"
    if comparison.low >= -tolerance:
        return "not worse"
    return "worse" if comparison.high < 0 else "undecided"


def outcome_of(new: Comparison | None, old: Comparison | None, tolerance: float, blocks: Sequence[str] = ()) -> Outcome:
    """What follows from both worlds and from what blocks.

    ``better``, a clear win: better on the new world and at least not worse on the old one; where there is one world,
    better there. ``worse``: worse in one of them. ``not worse``: in neither. ``undecided``: none of these. ``blocked``:
    something is beyond its limit, in a version that is not worse anyway. Without any clip it is undecided.
    """
    found = compared_outcome(new, old, tolerance)
    return "blocked" if blocks and found != "worse" else found


def compared_outcome(new: Comparison | None, old: Comparison | None, tolerance: float) -> Found:
    """:func:`outcome_of` where nothing blocks."""
    worlds = [world_outcome(world, tolerance) for world in (new, old) if world is not None]
    if not worlds:
        return "undecided"
    if "worse" in worlds:
        return "worse"
    if "undecided" in worlds:
        return "undecided"
    return "better" if worlds[0] == "better" else "not worse"


def sentences(
    version: int,
    champion: int,
    new: Comparison | None,
    old: Comparison | None,
    *,
    tolerance: float,
    confidence: float,
    blocks: Sequence[str] = (),
    measure: str = "accuracy",
) -> str:
    """The verdict in words: the outcome, both worlds with their intervals, what blocks, as far as a person reads it."""
    found = compared_outcome(new, old, tolerance)
    said = {
        "better": f"is better than champion {champion}",
        "not worse": f"is not worse than champion {champion}, give or take {tolerance:g}",
        "worse": f"is worse than champion {champion}",
        "undecided": f"against champion {champion} is undecided",
    }[found]
    lead = f"Version {version} {said}"
    if outcome_of(new, old, tolerance, blocks) == "blocked":
        apart = f"against champion {champion} it is undecided" if found == "undecided" else f"it {said}"
        lead = f"Version {version} is blocked; apart from that {apart}"
    text = f"{lead}: {_compared(new, old, found, tolerance, confidence, measure)}."
    if found == "undecided" and not blocks and new and old:
        text += " Whether that is worth it is for people to say."
    if blocks:
        text += f" Against it: {listed(blocks, MOST_CLAUSES, '; ')}."
    return text


def _compared(
    new: Comparison | None,
    old: Comparison | None,
    found: Found,
    tolerance: float,
    confidence: float,
    measure: str,
) -> str:
    if new and old:
        both = f"on new video {_remark(new, found, tolerance)}{measure} {_numbers(new, confidence)} {_clips(new)}"
        return f"{both}; on old video {_remark(old, found, tolerance)}{measure} {_numbers(old)} {_clips(old)}"
    if world := new or old:
        whose = ", all of them new to the champion" if new else ""
        return f"{measure} {_numbers(world, confidence)} {_clips(world, 'test clips')}{whose}"
    return "there is no test clip to compare them on"


def _remark(world: Comparison, found: Found, tolerance: float) -> str:
    """Says of one of two worlds what it shows, where both together need that."""
    if found in ("better", "not worse"):
        return ""
    its = world_outcome(world, tolerance)
    if its != "undecided":
        return f"it is {its}, "
    seems = "it seems better but" if world.difference > 0 else "it"
    return f"{seems} may have lost more than {tolerance:g}, "


def _numbers(world: Comparison, confidence: float | None = None) -> str:
    named = f"{confidence:.0%} interval " if confidence else ""
    return f"{world.difference:+.3f} ({named}{world.low:+.3f} to {world.high:+.3f})"


def _clips(world: Comparison, what: str = "clips") -> str:
    return f"on {world.num_clips} {what} of {world.num_sources} source{'s' if world.num_sources > 1 else ''}"
