"""Differences in accuracy, paired by source on the same clips: by world, by class, by group of sources.

Legend: N clips.
"""

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.gate.verdict import Comparison, Kind, Slice
from tasks.params.quality import JudgeParams
from tasks.statistics.bootstrap import paired_source_bootstrap

_DIGITS = 6


def worlds(
    clips: pd.DataFrame, ours_N: NDArray[np.bool_], theirs_N: NDArray[np.bool_], params: JudgeParams, *, seed: int
) -> dict[str, Comparison]:
    """The comparisons on the new world, on the old one and on both; what has no clips is missing.

    Args:
        clips: Columns ``source_id`` and ``world``.
        ours_N: Which of them the version gets right.
        theirs_N: Which of them the champion gets right.
        params: Section ``judge``.
        seed: Of the resampling.
    """
    world_N = clips["world"].to_numpy()
    parts = {"new": world_N == "new", "old": world_N == "old", "all": np.full(len(clips), True)}
    sources_N = clips["source_id"].to_numpy()
    return {
        name: _compared(ours_N[in_N], theirs_N[in_N], sources_N[in_N], params, seed)
        for name, in_N in parts.items()
        if in_N.any()
    }


def slices(
    clips: pd.DataFrame,
    ours_N: NDArray[np.bool_],
    theirs_N: NDArray[np.bool_] | None,
    params: JudgeParams,
    *,
    seed: int,
) -> tuple[Slice, ...]:
    """The groups of sources and the classes, each in order of its name.

    A group of one source is compared on more clips of that source, as nothing else is in it: clips are resampled there,
    and sources everywhere else.

    Args:
        clips: Columns ``label``, ``group`` and ``source_id``.
        ours_N: Which of them the version gets right.
        theirs_N: Which of them the champion gets right; None without one.
        params: Section ``judge``.
        seed: Of the resampling.
    """
    one = partial(_slice, clips, ours_N, theirs_N, params, seed)
    groups = [one("group", name, (clips["group"] == name).to_numpy()) for name in sorted(clips["group"].unique())]
    return (
        *groups,
        *(one("class", name, (clips["label"] == name).to_numpy()) for name in sorted(clips["label"].unique())),
    )


def _slice(
    clips: pd.DataFrame,
    ours_N: NDArray[np.bool_],
    theirs_N: NDArray[np.bool_] | None,
    params: JudgeParams,
    seed: int,
    kind: Kind,
    name: str,
    in_N: NDArray[np.bool_],
) -> Slice:
    sources_N = clips["source_id"].to_numpy()[in_N]
    num_clips, num_sources = int(in_N.sum()), len(np.unique(sources_N))
    unit_N = np.arange(num_clips) if kind == "group" and num_sources == 1 else sources_N
    comparison = None
    if theirs_N is not None:
        comparison = _compared(ours_N[in_N], theirs_N[in_N], unit_N, params, seed, num_sources)
    floors, usual = (
        (params.class_floors, params.class_floor) if kind == "class" else (params.group_floors, params.group_floor)
    )
    floor = floors.get(name, usual) if num_clips >= params.floor_clips else None
    return Slice(kind, name, _share(ours_N[in_N]), num_clips, num_sources, floor, comparison)


def _compared(
    ours_N: NDArray[np.bool_],
    theirs_N: NDArray[np.bool_],
    unit_N: NDArray[np.object_] | NDArray[np.int64],
    params: JudgeParams,
    seed: int,
    num_sources: int | None = None,
) -> Comparison:
    interval = paired_source_bootstrap(
        ours_N, theirs_N, unit_N, resamples=params.bootstrap, confidence=params.confidence, seed=seed
    )
    return Comparison(
        round(interval.estimate, _DIGITS),
        round(interval.low, _DIGITS),
        round(interval.high, _DIGITS),
        len(ours_N),
        num_sources or len(np.unique(unit_N)),
        _share(ours_N),
        _share(theirs_N),
    )


def _share(right_N: NDArray[np.bool_]) -> float:
    return round(float(right_N.mean()), _DIGITS)
