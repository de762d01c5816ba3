"""Differences in accuracy, paired by source on the same clips: by world, by class, by group of sources.

Where clips may have several labels, what is compared is mean average precision, and of a class its average precision.

Legend: N clips.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.gate.ranked import Ranked
from tasks.gate.verdict import Comparison, Kind, Slice
from tasks.params.quality import JudgeParams
from tasks.statistics.average_precision import map_interval, mean_average_precision
from tasks.statistics.bootstrap import paired_source_bootstrap

_DIGITS = 6


Answers = NDArray[np.bool_] | Ranked
"""Which clips a model gets right; or, where clips may have several labels, how it ranks them."""


def worlds(
    clips: pd.DataFrame, ours_N: Answers, theirs_N: Answers, params: JudgeParams, *, seed: int
) -> dict[str, Comparison]:
    """The comparisons on the new world, on the old one and on both; what has no clips is missing.

    Args:
        clips: Columns ``source_id`` and ``world``.
        ours_N: What the version says of them.
        theirs_N: What the champion says of them.
        params: Section ``judge``.
        seed: Of the resampling.
    """
    world_N = clips["world"].to_numpy()
    parts = {"new": world_N == "new", "old": world_N == "old", "all": np.full(len(clips), True)}
    sources_N = clips["source_id"].to_numpy()
    return {
        name: _compared(ours_N[in_N], theirs_N[in_N], sources_N[in_N], params, seed)
        for name, in_N in parts.items()
        if in_N.any() and _says_something(ours_N[in_N])
    }


def slices(
    clips: pd.DataFrame,
    ours_N: Answers,
    theirs_N: Answers | None,
    params: JudgeParams,
    *,
    seed: int,
) -> tuple[Slice, ...]:
    """The groups of sources and the classes, each in order of its name.

    A group of one source is compared on more clips of that source, as nothing else is in it: clips are resampled there,
    and sources everywhere else.

    Args:
        clips: Columns ``label``, ``group`` and ``source_id``.
        ours_N: What the version says of them.
        theirs_N: What the champion says; None without one.
        params: Section ``judge``.
        seed: Of the resampling.
    """
    one = partial(_slice, clips, ours_N, theirs_N, params, seed)
    in_group = {name: (clips["group"] == name).to_numpy() for name in sorted(clips["group"].unique())}
    groups = [one("group", name, in_N) for name, in_N in in_group.items() if _says_something(ours_N[in_N])]
    if isinstance(ours_N, Ranked):
        others = theirs_N if isinstance(theirs_N, Ranked) else None
        return *groups, *(
            _slice(
                clips,
                ours_N.of_label(label),
                others and others.of_label(label),
                params,
                seed,
                "class",
                label,
                np.full(len(clips), True),
            )
            for label in ours_N.labels
        )
    return (
        *groups,
        *(one("class", name, (clips["label"] == name).to_numpy()) for name in sorted(clips["label"].unique())),
    )


def _slice(
    clips: pd.DataFrame,
    ours_N: Answers,
    theirs_N: Answers | None,
    params: JudgeParams,
    seed: int,
    kind: Kind,
    name: str,
    in_N: NDArray[np.bool_],
) -> Slice:
    sources_N = clips["source_id"].to_numpy()[in_N]
    num_clips, num_sources = int(in_N.sum()), len(np.unique(sources_N))
    unit_N = np.arange(num_clips) if kind == "group" and num_sources == 1 else sources_N
    if kind == "class" and isinstance(ours_N, Ranked):  # all clips are ranked, and these have the label
        num_clips = int(ours_N.wanted_NK.sum())
        num_sources = len(np.unique(sources_N[ours_N.wanted_NK[:, 0]]))
    comparison = None
    if theirs_N is not None:
        comparison = _compared(ours_N[in_N], theirs_N[in_N], unit_N, params, seed, num_sources)
    floors, usual = (
        (params.class_floors, params.class_floor) if kind == "class" else (params.group_floors, params.group_floor)
    )
    floor = floors.get(name, usual) if num_clips >= params.floor_clips else None
    return Slice(kind, name, _share(ours_N[in_N]), num_clips, num_sources, floor, comparison)


def _compared(
    ours_N: Answers,
    theirs_N: Answers,
    unit_N: NDArray[np.object_] | NDArray[np.int64],
    params: JudgeParams,
    seed: int,
    num_sources: int | None = None,
) -> Comparison:
    how: dict[str, Any] = {"resamples": params.bootstrap, "confidence": params.confidence, "seed": seed}
    if isinstance(ours_N, Ranked):
        assert isinstance(theirs_N, Ranked)
        interval = map_interval(ours_N.score_NK, ours_N.wanted_NK, unit_N, minus_NK=theirs_N.score_NK, **how)
    else:
        assert not isinstance(theirs_N, Ranked)
        interval = paired_source_bootstrap(ours_N, theirs_N, unit_N, **how)
    return Comparison(
        round(interval.estimate, _DIGITS),
        round(interval.low, _DIGITS),
        round(interval.high, _DIGITS),
        len(ours_N),
        num_sources or len(np.unique(unit_N)),
        _share(ours_N),
        _share(theirs_N),
    )


def _share(answers_N: Answers) -> float:
    if isinstance(answers_N, Ranked):
        return round(mean_average_precision(answers_N.score_NK, answers_N.wanted_NK), _DIGITS)
    return round(float(answers_N.mean()), _DIGITS)


def _says_something(answers_N: Answers) -> bool:
    return not isinstance(answers_N, Ranked) or answers_N.says_something
