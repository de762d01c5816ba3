"""Who is trained on, who is validated on, who is tested on.

An assignment, once made, stays: with the same parameters a source (or, by time, a clip) never changes its split.
"""

import hashlib
import heapq

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import one_row_a_label, rarest_label
from models.clips.manifest import SPLITS, labels_of
from models.errors import UserError
from tasks.params.data import SplitParams

_MAX_MOVES = 1_000
_LEAST_GAIN = 1e-9
_GROUPS_AT_A_TIME = 8192
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
            ``split`` with the assignment that stays, or None; with ``split.by: given`` the wish of the table. Where
            clips may have several labels, each counts for every one of them.
        params: Section ``split``.
        seed: Breaks ties between sources.

    Returns:
        The split of each row.

    Raises:
        UnsplittableClassError: A class cannot be split that way; the message names the class and the remedy.
        UserError: There are fewer than two classes, or the order or the wish that decides is unknown.
    """
    if not (labels := labels_of(clips)):
        raise UserError("no clip has a label yet, and telling apart needs two classes: ingest labelled video first")
    if len(labels) < 2:
        raise UserError(f"there is one class ({labels[0]}), and telling apart needs two: add clips of another class")
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
    source_N, sources = pd.factorize(clips["source_id"], sort=True)
    clips_S = np.bincount(source_N)
    order = sorted(range(len(sources)), key=lambda source: (-clips_S[source], _shuffled(str(sources[source]), seed)))
    rows = one_row_a_label(clips.assign(source=source_N), nothing=True)
    counts_UL, kind_S = _kinds(rows["source"].to_numpy(), rows["label"])
    placement = _Placement(counts_UL, kind_S[order], targets_K)
    bound = clips.dropna(subset=["split"]).drop_duplicates("source_id")
    kept = dict(zip(bound["source_id"], bound["split"], strict=True))
    free = []
    for position, source in enumerate(order):
        if (split := kept.get(sources[source])) is not None:
            placement.put(position, SPLITS.index(split))
        else:
            free.append(position)
    placement.fill(free)
    placement.improve(free)
    chosen_S = np.empty(len(sources), object)
    chosen_S[order] = np.array(SPLITS, object)[placement.splits]
    return pd.Series(chosen_S[source_N], index=clips.index)


def _kinds(source_N: NDArray[np.int64], labels: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clips of each label that a source can have, without repetition, and which of these each source has.

    Where every file is a source there are a million of these, and as many kinds as there are labels.
    """
    label_N, names = pd.factorize(labels, sort=True)
    pair_P, count_P = np.unique(source_N * len(names) + label_N, return_counts=True)
    counts_P2 = np.stack([pair_P % len(names), count_P], axis=1)
    first_S = np.flatnonzero(np.diff(pair_P // len(names), prepend=-1))
    kinds: dict[bytes, int] = {}
    kind_S = [kinds.setdefault(of_source.tobytes(), len(kinds)) for of_source in np.split(counts_P2, first_S[1:])]
    counts_UL = np.zeros((len(kinds), len(names)), np.int64)
    for content, kind in kinds.items():
        label_X, count_X = np.frombuffer(content, np.int64).reshape(-1, 2).T
        counts_UL[kind, label_X] = count_X
    return counts_UL, np.array(kind_S)


class _Placement:
    """Places sources so that each label's clips approach the wanted shares, and no label misses a split.

    Greedy, largest source first (Sechidis et al. 2011, "On the stratification of multi-label data"), then single moves
    as long as they help. Sources of one kind, which have as many clips of each label, are weighed together.
    """

    def __init__(self, counts_UL: NDArray[np.int64], kind_S: NDArray[np.int64], targets_K: NDArray[np.float64]) -> None:
        self._counts_UL = counts_UL.astype(np.float64)
        self._kind_S = kind_S
        self._total_L = np.bincount(kind_S, minlength=len(counts_UL)) @ self._counts_UL
        self._targets_K1 = targets_K[:, None]
        self._placed_KL = np.zeros((len(SPLITS), counts_UL.shape[1]))
        self.splits = np.full(len(kind_S), -1)

    def put(self, source: int, split: int) -> None:
        counts_L = self._counts_UL[self._kind_S[source]]
        if (before := self.splits[source]) >= 0:
            self._placed_KL[before] -= counts_L
        self._placed_KL[split] += counts_L
        self.splits[source] = split

    def fill(self, sources: list[int]) -> None:
        for source in sources:
            self.put(source, int(self._joining(self._counts_UL[self._kind_S[source]][None])[0].argmin()))

    def improve(self, sources: list[int]) -> None:
        waiting = self._by_kind_and_split(sources)
        for _ in range(_MAX_MOVES if sources else 0):
            kind_G, before_G = np.array(list(waiting)).T
            change_GK = self._changes(kind_G, before_G)
            if change_GK.min() >= -_LEAST_GAIN:
                return
            groups, splits = np.nonzero(change_GK == change_GK.min())
            first, group, split = min(
                (waiting[kind_G[group], before_G[group]][0], group, split)
                for group, split in zip(groups.tolist(), splits.tolist(), strict=True)
            )
            kind, before = int(kind_G[group]), int(before_G[group])
            heapq.heappop(waiting[kind, before])
            if not waiting[kind, before]:
                del waiting[kind, before]
            heapq.heappush(waiting.setdefault((kind, split), []), first)
            self.put(first, split)

    def _by_kind_and_split(self, sources: list[int]) -> dict[tuple[int, int], list[int]]:
        """Heaps of sources: of those that would change as much, the first moves."""
        waiting: dict[tuple[int, int], list[int]] = {}
        for source in sources:  # ascending, so every list is a heap
            waiting.setdefault((int(self._kind_S[source]), int(self.splits[source])), []).append(source)
        return waiting

    def _changes(self, kind_G: NDArray[np.int64], before_G: NDArray[np.int64]) -> NDArray[np.float64]:
        """What it would cost to move a source of each kind and split to each split."""
        change_GK = np.empty((len(kind_G), len(SPLITS)))
        for start in range(0, len(kind_G), _GROUPS_AT_A_TIME):
            rows = slice(start, start + _GROUPS_AT_A_TIME)
            counts_XL, before_X = self._counts_UL[kind_G[rows]], before_G[rows]
            leaving_X = self._cost(self._placed_KL[before_X] - counts_XL, self._targets_K1[before_X])
            change_GK[rows] = (leaving_X - self._current()[before_X])[:, None] + self._joining(counts_XL)
        change_GK[np.arange(len(kind_G)), before_G] = 0.0
        return change_GK

    def _joining(self, counts_XL: NDArray[np.float64]) -> NDArray[np.float64]:
        joined_XKL = self._placed_KL + counts_XL[:, None]
        return self._cost(joined_XKL, self._targets_K1) - self._current()

    def _current(self) -> NDArray[np.float64]:
        return self._cost(self._placed_KL, self._targets_K1)

    def _cost(self, placed_XL: NDArray[np.float64], targets_X1: NDArray[np.float64]) -> NDArray[np.float64]:
        deviation_XL = placed_XL / self._total_L - targets_X1
        cost_X: NDArray[np.float64] = (deviation_XL**2 + _MISSING_COST * (placed_XL == 0)).sum(-1)
        return cost_X


def _by_time(clips: pd.DataFrame, targets_K: NDArray[np.float64]) -> pd.Series:
    _check_order_is_known(clips)
    ordered = clips.sort_values(["captured_at", "start_s", "clip_id"], na_position="first")
    split_N = ordered["split"].to_numpy(object).copy()
    group_N = ordered.groupby(["source_id", rarest_label(ordered)], sort=True).ngroup().to_numpy()
    is_new_N = ordered["split"].isna().to_numpy()
    have_GK = np.stack(
        [np.bincount(group_N[split_N == split], minlength=group_N.max() + 1) for split in SPLITS], axis=1
    )
    new_X = np.flatnonzero(is_new_N)
    new_X = new_X[np.argsort(group_N[new_X], kind="stable")]
    sizes: dict[tuple[int, ...], NDArray[np.int64]] = {}
    for of_group in np.split(new_X, np.flatnonzero(np.diff(group_N[new_X])) + 1) if len(new_X) else ():
        have_K = have_GK[group_N[of_group[0]]]
        key = (len(of_group), *have_K.tolist())
        if key not in sizes:
            sizes[key] = _cut(len(of_group), have_K, targets_K)
        split_N[of_group] = np.repeat(np.array(SPLITS, dtype=object), sizes[key])
    return pd.Series(split_N, index=ordered.index, dtype=object).reindex(clips.index)


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
    num_sources = one_row_a_label(clips).groupby("label")["source_id"].nunique()
    if (few := num_sources[num_sources < len(SPLITS)]).any():
        label, count = few.index[0], int(few.iloc[0])
        raise UnsplittableClassError(
            f"class {label!r} has {count} source{'s' if count > 1 else ''}, and train, val and test need one each: add "
            "clips of it from other sources (source_id in the table), or set split.by: time in params.yaml",
            str(label),
        )


def _check_order_is_known(clips: pd.DataFrame) -> None:
    has_several = clips.groupby("source_id", sort=True)["sha256"].nunique() > 1
    has_unknown = clips["captured_at"].isna().groupby(clips["source_id"], sort=True).any()
    if (unclear := has_several & has_unknown).any():
        raise UserError(
            f"split.by is time, but source {unclear.idxmax()!r} has several files whose order is unknown: fill the "
            "table's column captured_at, or set split.by: source in params.yaml"
        )


def _check_every_class(clips: pd.DataFrame, splits: pd.Series, by: str) -> None:
    rows = one_row_a_label(clips)
    split_of_row = splits.reindex(rows.index).to_numpy()
    present = pd.crosstab(rows["label"].to_numpy(), split_of_row).reindex(columns=list(SPLITS), fill_value=0)
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
