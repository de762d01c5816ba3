import json

import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.sequential import advance, start_watch
from tasks.statistics.source_days import SourceDay
from tasks.statistics.watch_state import WatchState


class Cameras:
    """Cameras that differ from each other and from day to day."""

    def __init__(self, seed: int, num_cameras: int = 6, num_reference: int = 20, reference_days: int = 1):
        self.rng = np.random.default_rng(seed)
        names = [f"camera {n}" for n in range(num_cameras)] + [f"reference {n}" for n in range(num_reference)]
        self.own = {name: 2 * self.rng.standard_normal(4) for name in names}
        self.watched = names[:num_cameras]
        self.reference = [self.see(n, f"-{d:03}") for n in names[num_cameras:] for d in range(reference_days)]

    def see(self, name: str, day: str, shift: float = 0.0) -> SourceDay:
        return SourceDay(name, day, tuple((self.own[name] + self.rng.standard_normal(4) + shift).tolist()))

    def day(self, number: int, shift: float = 0.0) -> list[SourceDay]:
        return [self.see(name, f"{number:03}", shift) for name in self.watched]


def watched(cameras: Cameras, days: range, state: WatchState, shift: float = 0.0) -> WatchState:
    for number in days:
        state, _ = advance(state, f"{number:03}", cameras.day(number, shift))
    return state


def test_p_values_are_uniform_even_of_cameras_that_are_odd_by_nature():
    p_values: list[tuple[float, ...]] = []
    for seed in range(12):
        cameras = Cameras(seed)
        state = start_watch(cameras.reference, seed=seed)
        for number in range(25):
            state, found = advance(state, f"{number:03}", cameras.day(number))
            p_values += [strange.p_values for strange in found]
    for of_view in zip(*p_values, strict=True):
        assert np.histogram(of_view, 5, (0, 1))[0] / len(of_view) == pytest.approx(np.full(5, 0.2), abs=0.04)


def test_an_unchanged_life_seldom_raises_an_alarm():
    alarms = []
    for seed in range(30):
        cameras = Cameras(seed, num_cameras=3)
        alarms.append(watched(cameras, range(60), start_watch(cameras.reference, false_alarm=0.1)).alarm is not None)
    assert np.mean(alarms) < 0.1 + 3.1 * np.sqrt(0.1 * 0.9 / 30) * 0.8


def test_a_change_is_found_dated_and_kept():
    cameras = Cameras(0)
    quiet = watched(cameras, range(30), start_watch(cameras.reference))
    assert quiet.alarm is None
    changed = watched(cameras, range(30, 40), quiet, shift=2.0)
    assert changed.alarm in {"030", "031", "032", "033"}
    assert changed.overall.changed_since in {"029", "030", "031"}
    assert changed.highest >= changed.limit == 100
    assert watched(cameras, range(40, 42), changed).alarm == changed.alarm


def test_new_cameras_in_a_changed_world_are_found_on_their_first_day():
    cameras = Cameras(1, num_cameras=12, num_reference=60)
    assert watched(cameras, range(2), start_watch(cameras.reference), shift=8.0).alarm == "000"


def test_a_change_at_one_site_shows_in_its_group():
    cameras = Cameras(2, num_cameras=12)
    groups = {name: "north" if name in cameras.watched[:2] else "south" for name in cameras.watched}
    state = start_watch(cameras.reference)
    for number in range(60):
        units = cameras.day(number)
        if number >= 40:
            units[:2] = [cameras.see(unit.source, unit.day, 4.0) for unit in units[:2]]
        state, _ = advance(state, f"{number:03}", units, groups=groups)
    assert list(state.groups) == ["north", "south"]
    assert state.groups["north"].capital > 100 > state.groups["south"].capital
    assert state.alarm is not None


def test_repeating_a_check_changes_nothing():
    cameras = Cameras(3)
    state = watched(cameras, range(5), start_watch(cameras.reference))
    units = cameras.day(5)
    once, found = advance(state, "005", units)
    twice, again = advance(once, "006", units[::-1])
    assert twice.to_dict() == once.to_dict()
    assert len(found) == 6
    assert not again
    half, _ = advance(state, "005", units[:3])
    assert advance(half, "005", units)[0].seen == once.seen


def test_a_state_survives_json_and_goes_on_as_if_nothing_had_happened():
    cameras = Cameras(4)
    groups = {name: name for name in reversed(cameras.watched)}
    state, _ = advance(start_watch(cameras.reference), "000", cameras.day(0), groups=groups)
    state, _ = advance(state, "001", cameras.day(1), groups=groups)
    restored = WatchState.from_dict(json.loads(json.dumps(state.to_dict(), sort_keys=True)))
    assert restored.to_dict() == state.to_dict()
    units = cameras.day(2)
    (there, found), (here, expected) = (advance(s, "002", units, groups=groups) for s in (restored, state))
    assert (there.to_dict(), found) == (here.to_dict(), expected)
    for damaged in ({}, state.to_dict() | {"groups": 3}, state.to_dict() | {"seen": ["a"]}):
        with pytest.raises(UserError, match="start a new watch"):
            WatchState.from_dict(damaged)


def test_a_day_that_all_sources_share_fools_products_and_not_means():
    alarms = {}
    for within_day in ("product", "mean"):
        cameras = Cameras(5, num_cameras=12)
        state = watched(cameras, range(30), start_watch(cameras.reference, within_day=within_day))
        alarms[within_day] = watched(cameras, range(30, 31), state, shift=4.0).alarm
    assert alarms == {"product": "030", "mean": None}


def test_a_look_that_comes_to_half_of_the_cameras_is_found_among_few_quiet_days():
    """No camera's day is far out in eight numbers, and together they move along one line."""
    cameras = Cameras(7, num_cameras=24)
    state = watched(cameras, range(8), start_watch(cameras.reference))
    for number in range(8, 16):
        units = cameras.day(number)
        units[::2] = [cameras.see(unit.source, unit.day, 1.3) for unit in units[::2]]
        state, _ = advance(state, f"{number:03}", units)
    assert state.alarm in {"009", "010", "011", "012"}


def test_cameras_that_share_weather_and_arrive_one_by_one_raise_no_alarm():
    cameras = Cameras(8, num_cameras=12)
    state = start_watch(cameras.reference)
    for number in range(30):
        weather = 0.4 * cameras.rng.standard_normal(4)
        for unit in cameras.day(number):
            shared = tuple((np.array(unit.vector) + weather).tolist())
            state, _ = advance(state, f"{number:03}", [SourceDay(unit.source, unit.day, shared)])
    assert state.alarm is None


def test_a_group_of_one_shares_its_luck_with_nobody():
    cameras = Cameras(9, num_cameras=12)
    groups = {name: name for name in cameras.watched}
    state = start_watch(cameras.reference)
    for number in range(60):
        weather = cameras.rng.standard_normal(4)
        units = [
            SourceDay(unit.source, unit.day, tuple((np.array(unit.vector) + weather).tolist()))
            for unit in cameras.day(number, 0.0)
        ]
        if number >= 40:
            units[0] = cameras.see(units[0].source, units[0].day, 8.0)
        state, found = advance(state, f"{number:03}", units, groups=groups)
    assert max(found[3].correlations) > 0.2
    assert max(state.groups, key=lambda group: state.groups[group].capital) == units[0].source
    assert state.groups[units[0].source].capital > 50


def test_source_days_of_other_projections_and_doubled_ones_are_refused():
    cameras = Cameras(6)
    state = start_watch(cameras.reference)
    with pytest.raises(UserError, match="another projection"):
        advance(state, "000", [SourceDay("x", "1", (0.0,))])
    with pytest.raises(UserError, match="twice"):
        start_watch([*cameras.reference, cameras.reference[0]])
    with pytest.raises(UserError, match=r"watch\.false_alarm"):
        start_watch([], false_alarm=1.0)
    assert advance(state, "000", [])[0].to_dict() == state.to_dict()
