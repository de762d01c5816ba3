"""What :mod:`bench.methods` found, as a table.

Legend: S seeds, N clips of the test.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.way_rows import Row, compared_with
from tasks.statistics.bootstrap import Interval, paired_source_bootstrap, source_bootstrap

_BOOTSTRAP: dict[str, Any] = {"resamples": 2000, "confidence": 0.95, "seed": 0}


def read_rows(paths: Sequence[Path]) -> dict[Row, dict[str, Any]]:
    """The lines of files, those that were cut off left out."""
    found = {}
    for path in paths:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                content = json.loads(line)
                found[Row(**{name: content.pop(name) for name in Row.__dataclass_fields__})] = content
    return found


def print_table(found: Mapping[Row, dict[str, Any]]) -> None:
    """A line for each row, over all of its seeds.

    Intervals are for new cameras and new seeds: the mean over the seeds is resampled by camera, and the error of a mean
    of so few seeds is added to that. Differences are paired by clip and seed.
    """
    columns = f"{'accuracy (95%)':>24}{'seeds':>6}{'shuffled':>10}{'trained':>11}{'of all':>8}{'MB':>7}{'s':>6}"
    print(f"\n{'':76}{columns}  difference in points (95%)")
    for row, runs in _by_row(found).items():
        right_SN, source_N = _right(runs)
        accuracy = source_bootstrap(right_SN.mean(0), source_N, **_BOOTSTRAP, other_error=_error(right_SN.mean(1)))
        interval = f"{accuracy.estimate:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})"
        print(f"{_name(row):76}{interval:>24}{len(runs):6}{_cost(runs)}  {_difference(row, runs, found)}".rstrip())


def _by_row(found: Mapping[Row, dict[str, Any]]) -> dict[Row, dict[int, dict[str, Any]]]:
    """Of rows that differ in their seed alone, the one with seed 0 stands for all."""
    rows: dict[Row, dict[int, dict[str, Any]]] = {}
    for row, run in found.items():
        rows.setdefault(replace(row, seed=0), {})[row.seed] = run
    return rows


def _name(row: Row) -> str:
    labels = f", {row.labelled} labels a class" if row.labelled else ""
    return f"{row.network}{labels}: {row.method}"


def _right(runs: Mapping[int, dict[str, Any]]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    right_by_source = [run["right"] for run in runs.values()]
    right_SN = np.array([[float(bit) for bits in each.values() for bit in bits] for each in right_by_source])
    source_N = np.repeat(list(right_by_source[0]), [len(bits) for bits in right_by_source[0].values()])
    return right_SN, source_N


def _cost(runs: Mapping[int, dict[str, Any]]) -> str:
    if "trained" not in next(iter(runs.values())):
        return " " * 42
    mean = {
        name: float(np.mean([run[name] for run in runs.values()]))
        for name in ("shuffled", "trained", "parameters", "megabytes", "seconds", "pretrain_seconds")
    }
    seconds = mean["seconds"] + mean["pretrain_seconds"]
    share = mean["trained"] / mean["parameters"]
    return f"{mean['shuffled']:10.3f}{mean['trained']:11,.0f}{share:8.1%}{mean['megabytes']:7.2f}{seconds:6.0f}"


def _difference(row: Row, runs: Mapping[int, dict[str, Any]], found: Mapping[Row, dict[str, Any]]) -> str:
    others = {seed: other for seed in runs if (other := compared_with(replace(row, seed=seed), found))}
    if not others:
        return ""
    ours_SN, source_N = _right({seed: runs[seed] for seed in others})
    theirs_SN, _ = _right({seed: found[other] for seed, other in others.items()})
    error = _error((ours_SN - theirs_SN).mean(1))
    interval = paired_source_bootstrap(ours_SN.mean(0), theirs_SN.mean(0), source_N, **_BOOTSTRAP, other_error=error)
    other = next(iter(others.values()))
    return f"{_points(interval)} than {_what_differs(row, other)}{_share(runs, found[other])}"


def _points(interval: Interval) -> str:
    estimate, low, high = (100.0 * end for end in (interval.estimate, interval.low, interval.high))
    return f"{estimate:+.1f} ({low:+.1f} to {high:+.1f})"


def _what_differs(row: Row, other: Row) -> str:
    ours, theirs = asdict(row), asdict(other)
    names = [name for name in ("method", "weights", "pretrained") if ours[name] != theirs[name]]
    return {"method": other.method, "weights": other.weights, "pretrained": "without pretrain"}[names[0]]


def _share(runs: Mapping[int, dict[str, Any]], other: Mapping[str, Any]) -> str:
    run = next(iter(runs.values()))
    if "trained" not in run or run["trained"] == other["trained"]:
        return ""
    return f", {run['trained'] / other['trained']:.1%} of its weights trained"


def _error(mean_S: NDArray[np.float64]) -> float:
    """The standard error of the mean of so many seeds; none is known of a single one."""
    return float(mean_S.std(ddof=1)) / math.sqrt(len(mean_S)) if len(mean_S) > 1 else 0.0
