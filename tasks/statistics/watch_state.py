"""What the watch over a champion's life remembers between checks; what it does: sequential.py.

Legend: U source-days, V numbers of each.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError
from tasks.statistics.betting import Bettor, WithinDay

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WatchState:
    """All that the watch remembers; Compare states by :meth:`to_dict`.

    Attributes:
        false_alarm: The chance of any false alarm over the whole life.
        within_day: How the bets of one check are combined.
        seed: Of the random numbers that break ties.
        seen: Source-days that have been counted, each as ``[source, day]``.
        first_UV: First days of all sources.
        later_UV: Later days, by source, in the order in which they came.
        later_days: Which days these are.
        overall: The bettor on all sources.
        groups: Bettors on groups, in the order in which they came.
        highest: The most that the evidence has been.
        alarm: The check that raised the alarm, None if none has; it stays.
    """

    false_alarm: float
    within_day: WithinDay
    seed: int
    seen: frozenset[tuple[str, str]]
    first_UV: _Floats
    later_UV: Mapping[str, _Floats]
    later_days: Mapping[str, tuple[str, ...]]
    overall: Bettor = field(default_factory=Bettor)
    groups: Mapping[str, Bettor] = field(default_factory=dict)
    highest: float = 1.0
    alarm: str | None = None

    @property
    def evidence(self) -> float:
        """The whole capital; not expected to grow while nothing changes."""
        return evidence_of(self.overall, self.groups)

    @property
    def limit(self) -> float:
        """Evidence that raises the alarm."""
        return 1.0 / self.false_alarm

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries, for JSON; vectors packed, as there are many."""
        return {
            "false_alarm": self.false_alarm,
            "within_day": self.within_day,
            "seed": self.seed,
            "seen": sorted(map(list, self.seen)),
            "numbers": self.first_UV.shape[1],
            "first_days": _packed(self.first_UV),
            "later": {
                source: {"days": list(self.later_days[source]), "rows": _packed(later_UV)}
                for source, later_UV in self.later_UV.items()
            },
            "overall": asdict(self.overall),
            "groups": [[group, asdict(bettor)] for group, bettor in self.groups.items()],  # their order counts
            "highest": self.highest,
            "alarm": self.alarm,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "WatchState":
        """The inverse of :meth:`to_dict`, before or after JSON.

        Raises:
            UserError: It is not the state of a watch.
        """
        try:
            columns = int(state["numbers"])
            first_UV = _unpacked(state["first_days"], columns)
            return cls(
                float(state["false_alarm"]),
                state["within_day"],
                int(state["seed"]),
                frozenset((source, day) for source, day in state["seen"]),
                first_UV,
                {source: _unpacked(later["rows"], columns) for source, later in state["later"].items()},
                {source: tuple(later["days"]) for source, later in state["later"].items()},
                Bettor.from_dict(state["overall"]),
                {group: Bettor.from_dict(bettor) for group, bettor in state["groups"]},
                float(state["highest"]),
                state["alarm"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            raise UserError(f"state of the watch is damaged ({error!r}); start a new watch for this champion") from None


def _packed(row_UV: _Floats) -> str:
    return base64.b64encode(zlib.compress(row_UV.astype("<f8").tobytes(), level=1)).decode()


def _unpacked(text: str, columns: int) -> _Floats:
    """The inverse of :func:`_packed`."""
    row_UV: _Floats = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f8").astype(np.float64)
    return row_UV.reshape(-1, columns) if columns else row_UV.reshape(0, 0)


def as_rows(vectors: ArrayLike, num_numbers: int = 0) -> _Floats:
    """Vectors as the rows of an array, with so many columns if there is none."""
    row_UV = np.asarray(vectors, np.float64)
    return row_UV if row_UV.ndim == 2 else row_UV.reshape(0, num_numbers)


def evidence_of(overall: Bettor, groups: Mapping[str, Bettor]) -> float:
    """The whole capital: half on all sources, half on groups, the j-th to come having 1 / (j (j + 1)) of that."""
    grouped = sum(bettor.capital / (place * (place + 1)) for place, bettor in enumerate(groups.values(), 1))
    # What groups to come would have is in hand.
    return 0.5 * overall.capital + 0.5 * (grouped + 1 / (len(groups) + 1))
