"""Who is trained on, who is validated on, who is tested on.

An assignment, once made, stays: with the same parameters a source (or, by time, a clip) never changes its split.
"""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.manifest import SPLITS
from models.errors import UserError
from tasks.params import SplitParams

_MAX_MOVES = 1_000
_LEAST_GAIN = 1e-9
# Dwarfs every deviation: no label may miss a split.
_MISSING_COST = 1e4


class UnsplittableClassError(UserError):
    """A class is not in train, val and test, and cannot be.

    Attributes:
        label: The class.
    """

    def __init__(self, message: str, label: str) -> None:
        super().__init__(message)
        self.label = label


def assign_splits(clips: pd.DataFrame, params: SplitParams, *, seed: int) -> pd.Series:
    """Assign each clip to train, val or test.

    Args:
        clips: Columns ``clip_id``, ``uri``, ``label``, ``source_id``, ``sha256``, ``start_s``, ``captured_at``, and
            ``split`` with the assignment that stays, or None; with ``split.by: given`` the wish of the table.
        params: Section ``split``.
        seed: Breaks ties between sources.

    Returns:
        The split of each row.

    Raises:
        UnsplittableClassError: A class cannot be split that way; the message names the class and the remedy.
        UserError: There are fewer than two classes, or the order or the wish that decides is unknown.
    """
    if clips["label"].nunique() < 2:
        only = ", ".join(map(str, clips["label"].unique())) or "none"
        raise UserError(f"there is one class ({only}), and telling apart needs two: add clips of another class")
    if params.by == "source":
        splits = _by_source(clips, _targets(params), seed)
    elif params.by == "time":
        splits = _by_time(clips, _targets(params))
    else:
        splits = _as_given(clips)
    _check_every_class(clips, splits, params.by)
    return splits


def _by_source(clips: pd.DataFrame, targets_K: NDArray[np.float64], seed: int) -> pd.Series:
    _check_enough_sources(clips)
    counts_SL = pd.crosstab(clips["source_id"], clips["label"])
    kept = clips.dropna(subset=["split"]).drop_duplicates("source_id").set_index("source_id")["split"]
    order = sorted(counts_SL.index, key=lambda source: (-counts_SL.loc[source].sum(), _shuffled(source, seed)))
    placement = _Placement(counts_SL.loc[order].to_numpy(), targets_K)
    for position, source in enumerate(order):
        if source in kept.index:
            placement.put(position, SPLITS.index(kept[source]))
    free = [position for position, source in enumerate(order) if source not in kept.index]
    placement.fill(free)
    placement.improve(free)
    chosen = {source: SPLITS[split] for source, split in zip(order, placement.splits, strict=True)}
    return clips["source_id"].map(chosen)


class _Placement:
    """Places sources so that each label's clips approach the wanted shares, and no label misses a split.

    Greedy, largest source first (Sechidis et al. 2011, "On the stratification of multi-label data"), then single moves
    as long as they help.
    """

    def __init__(self, counts_SL: NDArray[np.int64], targets_K: NDArray[np.float64]) -> None:
        self._counts_SL = counts_SL.astype(np.float64)
        self._total_L = self._counts_SL.sum(0)
        self._targets_K1 = targets_K[:, None]
        self._placed_KL = np.zeros((len(SPLITS), counts_SL.shape[1]))
        self.splits = np.full(len(counts_SL), -1)

    def put(self, source: int, split: int) -> None:
        if (before := self.splits[source]) >= 0:
            self._placed_KL[before] -= self._counts_SL[source]
        self._placed_KL[split] += self._counts_SL[source]
        self.splits[source] = split

    def fill(self, sources: list[int]) -> None:
        for source in sources:
            self.put(source, int(self._joining([source])[0].argmin()))

    def improve(self, sources: list[int]) -> None:
        for _ in range(_MAX_MOVES if sources else 0):
            before_S = self.splits[sources]
            remaining_SL = self._placed_KL[before_S] - self._counts_SL[sources]
            leaving_S = self._cost(remaining_SL, self._targets_K1[before_S]) - self._current()[before_S]
            change_SK = leaving_S[:, None] + self._joining(sources)
            change_SK[np.arange(len(sources)), before_S] = 0.0
            position, split = np.unravel_index(change_SK.argmin(), change_SK.shape)
            if change_SK[position, split] >= -_LEAST_GAIN:
                return
            self.put(sources[position], int(split))

    def _joining(self, sources: list[int]) -> NDArray[np.float64]:
        joined_SKL = self._placed_KL + self._counts_SL[sources][:, None]
        return self._cost(joined_SKL, self._targets_K1) - self._current()

    def _current(self) -> NDArray[np.float64]:
        return self._cost(self._placed_KL, self._targets_K1)

    def _cost(self, placed_XL: NDArray[np.float64], targets_X1: NDArray[np.float64]) -> NDArray[np.float64]:
        deviation_XL = placed_XL / self._total_L - targets_X1
        cost_X: NDArray[np.float64] = (deviation_XL**2 + _MISSING_COST * (placed_XL == 0)).sum(-1)
        return cost_X


def _by_time(clips: pd.DataFrame, targets_K: NDArray[np.float64]) -> pd.Series:
    _check_order_is_known(clips)
    ordered = clips.sort_values(["captured_at", "start_s", "clip_id"], na_position="first")
    splits = ordered["split"].astype(object).copy()
    for _, group in ordered.groupby(["source_id", "label"], sort=True):
        new = group.index[group["split"].isna()]
        if len(new):
            have_K = np.array([(group["split"] == split).sum() for split in SPLITS])
            sizes_K = _cut(len(new), have_K, targets_K)
            splits.loc[new] = np.repeat(np.array(SPLITS, dtype=object), sizes_K)
    return splits.reindex(clips.index)


def _cut(num_new: int, have_K: NDArray[np.int64], targets_K: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of ``num_new`` clips each split gets, so that together with ``have_K`` the shares hold."""
    wanted_K = np.maximum(targets_K * (num_new + have_K.sum()) - have_K, 0.0)
    if num_new + have_K.sum() >= len(SPLITS):
        wanted_K = np.where(have_K == 0, np.maximum(wanted_K, 1.0), wanted_K)
    wanted_K *= num_new / wanted_K.sum()
    sizes_K: NDArray[np.int64] = np.floor(wanted_K + 1e-9).astype(np.int64)
    by_remainder = np.argsort(-(wanted_K - sizes_K), kind="stable")
    sizes_K[by_remainder[: num_new - sizes_K.sum()]] += 1
    return sizes_K


def _as_given(clips: pd.DataFrame) -> pd.Series:
    if (missing := clips["split"].isna()).any():
        row = clips[missing].iloc[0]
        raise UserError(
            f"split.by is given, but {row['uri']} (class {row['label']}) has no split: fill the table's column split "
            f"with {', '.join(SPLITS)}, or set split.by: source in params.yaml"
        )
    return clips["split"]


def _check_enough_sources(clips: pd.DataFrame) -> None:
    num_sources = clips.groupby("label")["source_id"].nunique()
    if (few := num_sources[num_sources < len(SPLITS)]).any():
        label, count = few.index[0], int(few.iloc[0])
        raise UnsplittableClassError(
            f"class {label!r} has {count} source{'s' if count > 1 else ''}, and train, val and test need one each: add "
            "clips of it from other sources (source_id in the table), or set split.by: time in params.yaml",
            str(label),
        )


def _check_order_is_known(clips: pd.DataFrame) -> None:
    for source, group in clips.groupby("source_id", sort=True):
        if group["sha256"].nunique() > 1 and group["captured_at"].isna().any():
            raise UserError(
                f"split.by is time, but source {source!r} has several files whose order is unknown: fill the table's "
                "column captured_at, or set split.by: source in params.yaml"
            )


def _check_every_class(clips: pd.DataFrame, splits: pd.Series, by: str) -> None:
    present = pd.crosstab(clips["label"], splits).reindex(columns=list(SPLITS), fill_value=0)
    for label, counts in present.iterrows():
        for split in SPLITS:
            if counts[split] == 0:
                raise UnsplittableClassError(
                    f"class {str(label)!r} has no clip in {split} (split.by: {by}): {_REMEDY[by]}", str(label)
                )


_REMEDY = {
    "source": "add clips of it from new sources, or set split.by: time in params.yaml",
    "time": "add clips of it (three from one source suffice), or set split.by: source in params.yaml",
    "given": "correct the table's column split",
}


def _targets(params: SplitParams) -> NDArray[np.float64]:
    return np.array([1.0 - params.val - params.test, params.val, params.test])


def _shuffled(source: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{source}".encode()).hexdigest()
