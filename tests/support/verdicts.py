"""Verdicts made from a few numbers."""

from tasks.gate.verdict import Comparison, Cost, Slice, Verdict


def comparison(low: float, difference: float, high: float, *, champion: float = 0.5) -> Comparison:
    return Comparison(difference, low, high, 48, 12, round(champion + difference, 6), champion)


def part(kind, name: str, difference: float, *, champion: float = 0.8, floor: float | None = 0.5, clips: int = 20):
    found = comparison(difference - 0.1, difference, difference + 0.1, champion=champion)
    return Slice(kind, name, found.accuracy, clips, 1, floor, found)


def verdict(outcome="undecided", **changes) -> Verdict:
    """Version 5 against champion 3: better on new video, not certain on old."""
    usual = {
        "version": 5, "champion": 3, "text": "as judged", "tolerance": 0.02, "confidence": 0.95,
        "new": comparison(0.1, 0.2, 0.3), "old": comparison(-0.06, -0.01, 0.04), "all": comparison(-0.01, 0.05, 0.1),
        "slices": (part("group", "cam-1", 0.1), part("class", "wave", -0.1, floor=None, clips=3)),
        "cost": Cost(31.0, 12.5, 30.0, 12.4),
    }  # fmt: skip
    return Verdict(outcome=outcome, **{**usual, **changes})
