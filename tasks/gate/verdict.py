"""What the judge found: how a version compares with the champion, on which clips, and what stands against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from models.spec import AnyFormat

Outcome = Literal["first", "better", "not worse", "worse", "undecided", "blocked"]
Kind = Literal["class", "group"]


@dataclass(frozen=True)
class Comparison:
    """Two versions on the same clips.

    Attributes:
        difference: Accuracy of the version minus accuracy of the champion.
        low: Lower end of the difference's interval.
        high: Upper end.
        num_clips: Test clips that both answered for.
        num_sources: Their sources.
        accuracy: Of the version; None in a verdict from before the gate.
        champion_accuracy: Of the champion; None in a verdict from before the gate.
    """

    difference: float
    low: float
    high: float
    num_clips: int
    num_sources: int
    accuracy: float | None = None
    champion_accuracy: float | None = None


@dataclass(frozen=True)
class Slice:
    """The test clips of one class, or of one group of sources.

    Attributes:
        kind: ``class`` or ``group``.
        name: The label, or the group.
        accuracy: Of the version.
        num_clips: Test clips.
        num_sources: Their sources.
        floor: The accuracy that it has to reach; None where there are too few clips to ask for one.
        comparison: With the champion; None without one.
    """

    kind: Kind
    name: str
    accuracy: float
    num_clips: int
    num_sources: int
    floor: float | None
    comparison: Comparison | None

    @property
    def is_low(self) -> bool:
        """Whether the version is below the floor here."""
        return self.floor is not None and self.accuracy < self.floor

    @property
    def is_lowered(self) -> bool:
        """Whether the version is below the floor, and below the champion too: promoting it would do harm here."""
        return self.is_low and self.comparison is not None and self.comparison.difference < 0


@dataclass(frozen=True)
class Cost:
    """What an answer costs.

    Attributes:
        latency_ms: Median time for one clip of what would serve the version.
        size_mb: Size of its weights, in millions of bytes.
        champion_latency_ms: Of the champion, measured in turn with the version; None without one.
        champion_size_mb: Of the champion; None without one.
        format: What would serve the version: the model itself or one of its programs.
        champion_format: What serves the champion; None without one.
    """

    latency_ms: float
    size_mb: float
    champion_latency_ms: float | None = None
    champion_size_mb: float | None = None
    format: AnyFormat = "torch"
    champion_format: AnyFormat | None = None

    @property
    def slowdown(self) -> float | None:
        """The version's latency over the champion's; None without a champion."""
        return self.latency_ms / self.champion_latency_ms if self.champion_latency_ms else None


@dataclass(frozen=True)
class Verdict:
    """How a version compares with the champion.

    Attributes:
        version: The version that was judged.
        champion: The champion's version; None where there is none.
        outcome: See :func:`tasks.gate.outcome.outcome_of`.
        text: The verdict in sentences.
        tolerance: Loss of accuracy that still counts as "not worse"; None in a verdict from before the gate.
        confidence: Of the intervals; None in a verdict from before the gate.
        new: On clips that the champion's dataset did not have; None where there are none.
        old: On clips that it had, the golden set; None where there are none.
        all: On both together; None without a champion.
        slices: By class and by group of sources.
        cost: Latency and size; None in a verdict from before the gate.
        blocks: What forbids to call the version better, as clauses.
        left_out: Test clips that no comparison counts.
        measure: What every ``accuracy`` here is: that, or where clips may have several labels mean average precision,
            and of a class average precision.
    """

    version: int
    champion: int | None
    outcome: Outcome
    text: str
    tolerance: float | None = None
    confidence: float | None = None
    new: Comparison | None = None
    old: Comparison | None = None
    all: Comparison | None = None
    slices: tuple[Slice, ...] = ()
    cost: Cost | None = None
    blocks: tuple[str, ...] = ()
    left_out: int = 0
    measure: str = "accuracy"

    @property
    def worlds(self) -> dict[str, Comparison]:
        """The comparisons that there are, by name."""
        named = {"new": self.new, "old": self.old, "all": self.all}
        return {name: comparison for name, comparison in named.items() if comparison is not None}

    @classmethod
    def read(cls, evidence: Mapping[str, Any]) -> "Verdict":
        """The verdict of a row of the decision log, also of one from before the gate."""
        if "num_clips" in evidence:
            return _before_the_gate(evidence)
        worlds = {name: _comparison(evidence[name]) for name in ("new", "old", "all")}
        return cls(**{
            **evidence,
            **worlds,
            "slices": tuple(_slice(each) for each in evidence["slices"]),
            "cost": Cost(**evidence["cost"]) if evidence["cost"] else None,
            "blocks": tuple(evidence["blocks"]),
        })  # fmt: skip


def _comparison(values: Mapping[str, Any] | None) -> Comparison | None:
    return Comparison(**values) if values else None


def _slice(values: Mapping[str, Any]) -> Slice:
    return Slice(**{**values, "comparison": _comparison(values["comparison"])})


def _before_the_gate(evidence: Mapping[str, Any]) -> Verdict:
    """Rows then had one comparison, on all test clips, and its numbers beside the rest."""
    numbers = {name: evidence[name] for name in ("difference", "low", "high", "num_clips", "num_sources")}
    own = {name: evidence[name] for name in ("version", "champion", "outcome", "text")}
    return Verdict(**own, all=None if evidence["difference"] is None else Comparison(**numbers))
