"""A watch over a champion's whole life: the chance that it ever raises a false alarm keeps below a limit.

Legend: U source-days, V numbers of each.

Method: a Mondrian conformal test martingale. Each new source-day gets a conformal p-value: the share of the source-days
of its category, itself included, that are at least as far from the category's mean, ties broken at random (Vovk,
Nouretdinov & Gammerman 2003, "Testing exchangeability on-line", ICML; by category: Vovk, Gammerman & Shafer 2005,
*Algorithmic Learning in a Random World*, 4.5). Where a category's source-days are exchangeable such p-values are
independent and uniform, and betting against that (betting.py) reaches 1 / false_alarm with a chance of at most
false_alarm, however often and however long one looks: Ville's inequality.

It is this construction because the reference is finite and used every day: tests against a fixed reference share its
luck, so neither their p-values nor e-values made from them may be multiplied. Here a source-day joins its category once
it is seen, and its p-value is its rank among those before it and nothing else.

Categories: a source's first day is compared with first days of other sources, the reference's included; later days with
the same source's earlier ones, its first excluded, as that has been used. A source that is odd by nature is odd once.
Later days are looked at in several views, each with a share of the capital: strangeness.py.

Assumptions: new sources are like those of the reference, but for the change that is sought; days are exchangeable
within a source; sources are independent given that. What all sources share on one day, such as weather, breaks the
last: with ``within_day="mean"`` such days cost less, and detection takes longer (docs/decisions/0008-drift-tests.md).

Half of the capital bets on all sources together, half on groups of sources, the j-th to come having 1 / (j (j + 1)) of
it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from tasks.statistics.betting import Bettor, WithinDay
from tasks.statistics.source_days import SourceDay, random_of
from tasks.statistics.strangeness import conformal_p_value, correlations, num_views, p_values
from tasks.statistics.watch_state import WatchState, as_rows, evidence_of

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Strangeness:
    """How strange a source-day is among those of its category.

    Attributes:
        source: Its source.
        day: Its day.
        p_values: By view, distance first; small if it is strange, uniform if nothing has changed.
        correlations: By view, how much of a day's luck sources have in common: the more, the less each bet weighs.
        num_compared: Source-days that it was compared with.
    """

    source: str
    day: str
    p_values: tuple[float, ...]
    correlations: tuple[float, ...]
    num_compared: int


def start_watch(
    reference: Sequence[SourceDay], *, false_alarm: float = 0.01, within_day: WithinDay = "product", seed: int = 0
) -> WatchState:
    """A watch for a new champion.

    Args:
        reference: Source-days that neither the champion nor the projection was fitted to. May be empty: then sources
            are only compared with each other and with themselves.
        false_alarm: The chance of any false alarm over the champion's whole life.
        within_day: ``product`` if sources are independent within a day, else ``mean``.
        seed: Of the random numbers that break ties.

    Raises:
        UserError: The chance is not between 0 and 1, a source-day comes twice, or vectors differ in length.
    """
    if not 0 < false_alarm < 1:
        raise UserError(f"watch.false_alarm: {false_alarm}: must lie between 0 and 1")
    memory = _Memory(set(), as_rows([]), {}, {})
    for unit in _in_order(reference):
        if not memory.is_new(unit):
            raise UserError(f"reference: source {unit.source} has day {unit.day} twice; give each source-day once")
        memory.remember(unit)
    return WatchState(
        false_alarm, within_day, seed, frozenset(memory.seen), memory.first_UV, memory.later_UV, memory.later_days
    )


def advance(
    state: WatchState, check: str, units: Sequence[SourceDay], *, groups: Mapping[str, str] | None = None
) -> tuple[WatchState, list[Strangeness]]:
    """After one more check; source-days that were seen before change nothing, so a check may be repeated.

    Args:
        state: Before.
        check: Its name, such as its day; shown as the moment of a change or an alarm.
        units: Source-days that are over, in any order, from any time: what counts is that they had not been seen.
        groups: The group of each source that is to be watched with its like as well, such as a site.

    Returns:
        The state after, and what the new source-days look like, of those that there was something to compare with.

    Raises:
        UserError: A vector has another length than those before: it is of another projection.
    """
    memory = _Memory(set(state.seen), state.first_UV, dict(state.later_UV), dict(state.later_days))
    found = [
        strange
        for _, of_day in groupby(_in_order(units), key=lambda unit: unit.day)
        for strange in memory.meet({unit.source: unit for unit in of_day if memory.is_new(unit)}, state)
    ]
    overall, bettors = state.overall, dict(state.groups)
    if found:
        groups, days = groups or {}, {strange.day for strange in found}
        seen = [(source, day) for source, day in memory.seen if day in days]
        overall = _bet(overall, check, found, Counter(day for _, day in seen), state.within_day)
        num_of = Counter((groups[source], day) for source, day in seen if source in groups)
        members: dict[str, list[Strangeness]] = {}
        for strange in found:
            if strange.source in groups:
                members.setdefault(groups[strange.source], []).append(strange)
        for group, theirs in sorted(members.items()):
            num_of_day = {day: num_of[group, day] for day in days}
            bettors[group] = _bet(bettors.get(group, Bettor()), check, theirs, num_of_day, state.within_day)
    evidence = evidence_of(overall, bettors)
    alarm = state.alarm if state.alarm is not None or evidence < state.limit else check
    after = replace(
        state,
        seen=frozenset(memory.seen),
        first_UV=memory.first_UV,
        later_UV=memory.later_UV,
        later_days=memory.later_days,
        overall=overall,
        groups=bettors,
        highest=max(state.highest, evidence),
        alarm=alarm,
    )
    return after, found


@dataclass
class _Memory:
    seen: set[tuple[str, str]]
    first_UV: _Floats
    later_UV: dict[str, _Floats]
    later_days: dict[str, tuple[str, ...]]

    def is_new(self, unit: SourceDay) -> bool:
        if len(self.first_UV) and len(unit.vector) != self.first_UV.shape[1]:
            raise UserError(
                f"source {unit.source}, day {unit.day}: {len(unit.vector)} numbers instead of "
                f"{self.first_UV.shape[1]}; it is of another projection: start a new watch"
            )
        return (unit.source, unit.day) not in self.seen

    def meet(self, unit_of: Mapping[str, SourceDay], state: WatchState) -> list[Strangeness]:
        """Compare the units of one day, by source, with what is known, and remember them."""
        known = [unit for unit in unit_of.values() if self.later_days.get(unit.source)]
        found = self._among_their_own(known, state) if known else []
        for unit in unit_of.values():
            if unit.source not in self.later_UV and len(self.first_UV):
                tie = float(random_of(state.seed, unit.source, unit.day).random())
                p_value = conformal_p_value(self.first_UV, unit.vector, tie)
                views = num_views(state.within_day)
                found.append(Strangeness(unit.source, unit.day, (p_value,) * views, (0.0,) * views, len(self.first_UV)))
            self.remember(unit)
        return found

    def remember(self, unit: SourceDay) -> None:
        self.seen.add((unit.source, unit.day))
        if unit.source in self.later_UV:
            self.later_UV[unit.source] = np.vstack((self.later_UV[unit.source], unit.vector))
            self.later_days[unit.source] = (*self.later_days[unit.source], unit.day)
        else:
            self.first_UV = np.vstack((self.first_UV, unit.vector)) if len(self.first_UV) else as_rows([unit.vector])
            self.later_UV[unit.source] = as_rows([], len(unit.vector))
            self.later_days[unit.source] = ()

    def _among_their_own(self, units: Sequence[SourceDay], state: WatchState) -> list[Strangeness]:
        sources = sorted(
            (source for source, days in self.later_days.items() if days), key=lambda source: _place(state.seed, source)
        )
        place_of = {source: place for place, source in enumerate(sources)}
        (today,) = {unit.day for unit in units}
        days = sorted({day for source in sources for day in self.later_days[source]})
        column_of = {day: column for column, day in enumerate(days)}
        past_SNV = np.zeros((len(sources), len(days), self.first_UV.shape[1]))
        known_SN = np.zeros(past_SNV.shape[:2], bool)
        for source, place in place_of.items():
            columns = [column_of[day] for day in self.later_days[source]]
            past_SNV[place, columns] = self.later_UV[source]
            known_SN[place, columns] = True
        views = num_views(state.within_day)
        new_SV = np.full((len(sources), past_SNV.shape[2]), np.nan)
        tie_SW = np.ones((len(sources), views))
        for unit in units:
            new_SV[place_of[unit.source]] = unit.vector
            tie_SW[place_of[unit.source]] = random_of(state.seed, unit.source, unit.day).random(views)
        num_before = sum(day < today for day in days)
        p_value_SW = p_values(past_SNV, known_SN, new_SV, tie_SW, num_before).T
        correlation_SW = correlations(past_SNV[:, :num_before], known_SN[:, :num_before], views).T
        return [
            Strangeness(
                unit.source,
                unit.day,
                tuple(p_value_SW[place_of[unit.source]].tolist()),
                tuple(correlation_SW[place_of[unit.source]].tolist()),
                len(self.later_days[unit.source]),
            )
            for unit in units
        ]


def _place(seed: int, source: str) -> float:
    """Where a source stands in the order that directions follow: nothing observed decides it."""
    return float(random_of(seed, source).random())


def _bet(
    bettor: Bettor, check: str, found: Sequence[Strangeness], num_of_day: Mapping[str, int], within_day: WithinDay
) -> Bettor:
    """Bet on what was found; all source-days of the same sources that were seen count for what is shared on a day."""
    p_value_WP = np.array([strange.p_values for strange in found]).T
    correlation_WP = np.array([strange.correlations for strange in found]).T
    others_P = np.array([num_of_day[strange.day] - 1 for strange in found])
    return bettor.bet(check, p_value_WP, within_day, 1 / (1 + others_P * correlation_WP))


def _in_order(units: Sequence[SourceDay]) -> list[SourceDay]:
    return sorted(units, key=lambda unit: (unit.day, unit.source))
