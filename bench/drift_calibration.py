"""False alarms, power and delay of the drift tests: ``python -m bench.drift_calibration``.

In made-up worlds whose sources resemble themselves, side by side with tests that take clips for independent; or, with
``--usual`` and ``--changed``, on embeddings of another world, such as those that ``bench.looks --save`` writes.
"""

import argparse
import importlib.util
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

from bench.drift_worlds import CLIPS_PER_DAY, Clips, Embedded, MadeUp, Sizes, World
from bench.machine import describe
from tasks.statistics.bbsd import bbsd
from tasks.statistics.betting import Bettor
from tasks.statistics.mmd import mmd_fuse
from tasks.statistics.outcome import Abstained
from tasks.statistics.proportion import wilson
from tasks.statistics.sequential import advance, start_watch
from tasks.statistics.source_days import fit_projection, source_days
from tasks.statistics.univariate import compare_facts

_LEVEL = 0.05
_PERMUTATIONS = 200
_CORRELATIONS = (0.0, 0.1, 0.3, 0.6)
_NUM_CAMERAS = 10
_DAYS_TO_FIND = 60
_HOW = ("product", "mean", "product, by distance")

Test = Callable[[Clips, Clips, int], bool]


def main() -> None:
    """Print all tables, or those of ``--only``."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repetitions", type=int, default=500, help="of each false alarm rate (500)")
    arguments.add_argument("--years", type=int, default=300, help="simulated, of each world (300)")
    arguments.add_argument("--workers", type=int, default=1, help="processes (1)")
    arguments.add_argument("--only", choices=("alarms", "power", "watch"), help="one table")
    arguments.add_argument("--usual", type=Path, help="clips of a real world, .npz")
    arguments.add_argument("--changed", type=Path, help="the same world changed, .npz")
    options = arguments.parse_args()
    print(describe("numpy", "scipy", "scikit-learn"))
    for rival in ("evidently", "nannyml"):
        if not importlib.util.find_spec(rival):
            print(f"{rival}: not installed")
    with ProcessPoolExecutor(options.workers) as pool:
        if options.only in (None, "alarms"):
            _false_alarms(pool, options.repetitions, options.usual)
        if options.only in (None, "power"):
            _power(pool, options.usual, options.changed)
        if options.only in (None, "watch"):
            _watch(pool, options.years, options.usual, options.changed)


def _of_sources(reference: Clips, window: Clips, seed: int) -> bool:
    return _rejects(
        mmd_fuse(
            reference.embedding_ND,
            reference.source_N,
            window.embedding_ND,
            window.source_N,
            permutations=_PERMUTATIONS,
            seed=seed,
        )
    )


def _of_answers(reference: Clips, window: Clips, seed: int) -> bool:
    return _rejects(
        bbsd(
            reference.probability_NK,
            reference.source_N,
            window.probability_NK,
            window.source_N,
            permutations=_PERMUTATIONS,
            seed=seed,
        )
    )


def _of_facts(reference: Clips, window: Clips, seed: int) -> bool:
    return bool(reference.facts) and _rejects(
        compare_facts(
            reference.facts,
            reference.source_N,
            window.facts,
            window.source_N,
            permutations=_PERMUTATIONS,
            seed=seed,
        )
    )


def _of_clips(reference: Clips, window: Clips, seed: int) -> bool:
    sides = [(side.embedding_ND, np.arange(len(side.source_N))) for side in (reference, window)]
    return _rejects(mmd_fuse(*sides[0], *sides[1], permutations=_PERMUTATIONS, seed=seed))


def _of_features(reference: Clips, window: Clips, seed: int) -> bool:
    del seed
    p_value_D = ks_2samp(reference.embedding_ND, window.embedding_ND, method="asymp").pvalue
    return bool(p_value_D.min() * len(p_value_D) <= _LEVEL)


def _rejects(answer: object) -> bool:
    return not isinstance(answer, Abstained) and answer.p_value <= _LEVEL  # type: ignore[attr-defined]


def _evidently(reference: Clips, window: Clips, seed: int) -> bool:
    """Its preset on the embedding as columns: a test a column, alarm if half of them have drifted."""
    del seed
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    frames = [
        pd.DataFrame(side.embedding_ND, columns=[f"f{number}" for number in range(side.embedding_ND.shape[1])])
        for side in (window, reference)
    ]
    found = Report([DataDriftPreset()]).run(*frames).dict()["metrics"][0]["value"]
    return bool(found["share"] >= 0.5)


def _tests() -> dict[str, Test]:
    tests = {
        "MMD-FUSE, sources": _of_sources,
        "BBSD, sources": _of_answers,
        "facts, sources": _of_facts,
        "MMD-FUSE, clips": _of_clips,
        "KS + Bonferroni": _of_features,
    }
    return tests | ({"Evidently preset": _evidently} if importlib.util.find_spec("evidently") else {})


def _alarm(world: World, test: Test, counts: tuple[int, int], sizes: Sizes, seed: int) -> bool:
    reference, window = world.pair(np.random.default_rng(seed), *counts, sizes)
    return test(reference, window, seed)


def _rate(
    pool: ProcessPoolExecutor, repetitions: int, world: World, test: Test, counts: tuple[int, int], sizes: Sizes
) -> tuple[int, int]:
    work = partial(_alarm, world, test, counts, sizes)
    return sum(pool.map(work, range(repetitions), chunksize=10)), repetitions


def _false_alarms(pool: ProcessPoolExecutor, repetitions: int, usual: Path | None) -> None:
    worlds: list[tuple[str, World, Sizes]] = [
        (f"correlation {correlation:g}, {sizes}", MadeUp(correlation), sizes)
        for sizes, correlation in product(("alike", "unequal", "small window"), _CORRELATIONS)
    ]
    if usual:
        worlds = [(usual.stem, Embedded.read(usual, None), "alike")]
    sides = "a third of the sources against the others" if usual else "60 sources against 25"
    print(f"\nfalse alarms at {_LEVEL:.0%}, {repetitions} repetitions, {sides}, 95% intervals")
    for name, world, sizes in worlds:
        for test_name, test in _tests().items():
            found = wilson(*_rate(pool, repetitions, world, test, (60, 25), sizes), confidence=0.95)
            print(f"{name:30}{test_name:20}{found.estimate:7.1%}  ({found.low:.1%} to {found.high:.1%})", flush=True)


def _power(pool: ProcessPoolExecutor, usual: Path | None, changed: Path | None) -> None:
    print("\nalarms in a changed world, 100 repetitions, reference of 60 sources, correlation .3")
    if usual and changed:
        world = Embedded.read(usual, changed)
        for test_name, test in _tests().items():
            alarms, repetitions = _rate(pool, 100, world, test, (60, 25), "alike")
            print(f"{changed.stem:30}{test_name:20}{alarms / repetitions:7.0%}", flush=True)
        return
    print(f"{'shift':>6}{'':4}{'test':20}{'5 sources':>11}{'10':>6}{'25':>6}{'50':>6}")
    for shift, (test_name, test) in product((0.1, 0.2, 0.4), list(_tests().items())[:3]):
        rates = [_rate(pool, 100, MadeUp(0.3, shift), test, (60, count), "alike") for count in (5, 10, 25, 50)]
        cells = "".join(f"{alarms / repetitions:6.0%}" for alarms, repetitions in rates)
        print(f"{shift:6.1f}{'':4}{test_name:20}{'':5}{cells}", flush=True)


@dataclass(frozen=True)
class _Lived:
    """A champion's life to be lived.

    Attributes:
        world: Where it is lived.
        cameras: How many are watched.
        quiet_days: Before the change.
        days: In all.
    """

    world: World
    cameras: int = _NUM_CAMERAS
    quiet_days: int = 365
    days: int = 365

    def first_alarms(self, seed: int) -> list[int | None]:
        """The day of the first alarm, from 0, for each way to combine a day's bets."""
        life = self.world.life(np.random.default_rng(seed), self.cameras)
        projection = fit_projection(life.held_out.embedding_ND, life.held_out.source_N, clips_per_unit=CLIPS_PER_DAY)
        names = [f"reference {source}" for source in life.reference.source_N]
        reference, _ = source_days(projection, life.reference.embedding_ND, names, ["0"] * len(names))
        state = start_watch(reference, seed=seed)
        first: list[int | None] = [None] * len(_HOW)
        averaging, by_distance = Bettor(), Bettor()
        for day in range(self.days):
            clips = life.day(changed=day >= self.quiet_days)
            name = f"{day:03}"
            units, _ = source_days(projection, clips.embedding_ND, clips.source_N, [name] * len(clips.source_N))
            state, found = advance(state, name, units)
            if found:
                # The same p-values by distance with their bets averaged, which is a watch with within_day="mean", and
                # multiplied, which is what the other views add to.
                p_value_P = [strange.p_values[0] for strange in found]
                averaging = averaging.bet(name, p_value_P, "mean")
                by_distance = by_distance.bet(name, p_value_P, "product")
            evidence = state.evidence, 0.5 * averaging.capital + 0.5, 0.5 * by_distance.capital + 0.5
            first = [
                day if seen is None and e >= state.limit else seen for seen, e in zip(first, evidence, strict=True)
            ]
        return first


def _watch(pool: ProcessPoolExecutor, years: int, usual: Path | None, changed: Path | None) -> None:
    quiet: dict[str, World] = {f"correlation {correlation:g}": MadeUp(correlation) for correlation in _CORRELATIONS}
    quiet |= {f"{share:g} shared by a day": MadeUp(0.3, day_correlation=share) for share in (0.02, 0.1)}
    moved = {f"shift {shift:g}": _Lived(MadeUp(0.3, shift), quiet_days=30) for shift in (0.1, 0.2, 0.3, 0.5)}
    moved |= {
        f"shift {shift:g}, 12 of 24, after {quiet_days}": _Lived(MadeUp(0.3, shift, every=2), 24, quiet_days)
        for shift, quiet_days in product((0.2, 0.3), (6, 12, 30))
    }
    if usual:
        quiet, moved = {usual.stem: Embedded.read(usual, None)}, {}
    if usual and changed:
        world = Embedded.read(usual, changed)
        moved = {f"{changed.stem}, after {quiet_days}": _Lived(world, 24, quiet_days) for quiet_days in (6, 12, 30)}
    print(f"\nthe watch at 1%, {_NUM_CAMERAS} cameras: {years} years of 365 checks with any alarm, 95% intervals")
    for name, world in quiet.items():
        alarms = list(pool.map(_Lived(world).first_alarms, range(years), chunksize=4))
        for how, of_how in zip(_HOW, zip(*alarms, strict=True), strict=True):
            found = wilson(sum(day is not None for day in of_how), years, confidence=0.95)
            print(f"{name:34}{how:24}{found.estimate:7.2%}  ({found.low:.2%} to {found.high:.2%})", flush=True)
    print(f"days from a change to the alarm: median of 40, and share found in {_DAYS_TO_FIND} (30 quiet days before)")
    never = _DAYS_TO_FIND + 1
    for name, lived in moved.items():
        alarms = list(pool.map(replace(lived, days=lived.quiet_days + _DAYS_TO_FIND).first_alarms, range(40)))
        for how, of_how in zip(_HOW, zip(*alarms, strict=True), strict=True):
            # An alarm before the change is a false one, and its year says nothing about delay.
            delays = [
                never if day is None else day - lived.quiet_days + 1
                for day in of_how
                if day is None or day >= lived.quiet_days
            ]
            median, share = np.median(delays), np.mean(np.array(delays) < never)
            print(f"{name:34}{how:24}{f'{median:g}' if median < never else 'more':>7}{share:7.0%}", flush=True)


if __name__ == "__main__":
    main()
