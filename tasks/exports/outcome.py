"""What became of each format: ``formats.json`` of the stage, of the registered version, and in MLflow."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from models.errors import UserError
from models.spec import AnyFormat


@dataclass(frozen=True)
class Outcome:
    """One format.

    Attributes:
        accepted: Whether it may answer.
        reason: Why not.
        size_mb: Of its file, in millions of bytes.
        latency_ms: Median time of a pass, by the number of clips in it.
        memory_mb: Peak of a process that answers eight clips at once, libraries included; None where that is not known.
        max_difference: Largest difference of any probability from the model's, on val clips.
        accuracy: On val clips; where they may have several labels, mean average precision.
        shift: How far the embeddings of val clips move together, in their standard deviations.
    """

    accepted: bool
    reason: str = ""
    size_mb: float | None = None
    latency_ms: Mapping[str, float] | None = None
    memory_mb: float | None = None
    max_difference: float | None = None
    accuracy: float | None = None
    shift: float | None = None


def headline(outcomes: Mapping[AnyFormat, Outcome]) -> dict[str, float]:
    """The outcomes' numbers, by names that MLflow can compare."""
    values: dict[str, float] = {}
    for name, outcome in outcomes.items():
        latency_ms = {f"latency_ms_{size}": ms for size, ms in (outcome.latency_ms or {}).items()}
        numbers = {**asdict(outcome), "accepted": float(outcome.accepted), **latency_ms}
        values |= {f"export.{name}.{key}": value for key, value in numbers.items() if isinstance(value, float)}
    return values


def summary(outcome: Outcome) -> str:
    """One line."""
    if not outcome.accepted:
        return f"refused: {outcome.reason}"
    latency_ms = ", ".join(f"{ms:.1f} ms for {size}" for size, ms in (outcome.latency_ms or {}).items())
    return f"accepted: {latency_ms}, {outcome.size_mb:.1f} MB"


def fastest_first(outcomes: Mapping[AnyFormat, Outcome]) -> list[AnyFormat]:
    """Formats that may answer, by their latency for one clip; ``torch``, the model itself, is one of them."""
    accepted = {
        name: (outcome.latency_ms or {}).get("1", 0.0) for name, outcome in outcomes.items() if outcome.accepted
    }
    return sorted(accepted, key=lambda name: accepted[name])


def read_outcomes(path: Path) -> dict[AnyFormat, Outcome]:
    """The formats of a ``formats.json``.

    Raises:
        UserError: It is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["formats"]
        return {name: Outcome(**outcome) for name, outcome in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: these are no results of the export ({error}); run `dvc repro export`") from None
