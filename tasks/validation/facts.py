"""The manifest as tables that expectations can be put on: one row a clip, and one row a class.

What concerns several clips, or files, is worked out here as a column: null where all is well, otherwise what is wrong.
So every expectation is about one value of one row, and a failing one names its rows.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import is_multi_label, labels_in, one_row_a_label, written
from models.clips.manifest import PSEUDO, SPLITS
from models.clips.shards import read_index, verify_shard
from models.errors import UserError
from tasks.params.data import SplitParams, ValidateParams

_ORDER = {split: place for place, split in enumerate(SPLITS)}


def clip_facts(
    manifest: pd.DataFrame,
    shards: Path,
    split: SplitParams,
    now: datetime,
    passed_N: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """One row a clip: the manifest's columns and what follows from them.

    Args:
        manifest: As ingest wrote it.
        shards: Folder of the shards.
        split: How the splits were made; it decides what counts as a leak.
        now: A clip that was captured later than this comes from the future.
        passed_N: Clips whose shards need not be read again; by default none.
    """
    facts = manifest.copy()
    facts["duration_s"] = facts["end_s"] - facts["start_s"]
    facts["short_side_px"] = facts[["width", "height"]].min(axis=1)
    facts["half_known"] = _half_known(facts)
    facts["guessed_in"] = facts["split"].where((facts["label_origin"] == PSEUDO) & (facts["split"] != "train"))
    if is_multi_label(manifest):
        facts["label_problem"] = _label_problems(facts)
    facts["in_the_future"] = _in_the_future(facts, now)
    facts["shard_problem"] = _shard_problems(
        facts, shards, np.zeros(len(facts), bool) if passed_N is None else passed_N
    )
    facts["shared_with"] = _overlaps_across_splits(facts)
    if split.by == "source":
        facts["splits_of_source"] = _splits_of_source(facts)
    return facts


def unknown_labels(clips: pd.DataFrame, params: ValidateParams) -> pd.Series:
    """Of clips that may have several labels those that are not allowed; null where there are none."""
    problems = {
        text: ", ".join(unknown) or None
        for text in clips["label"].dropna().unique()
        for unknown in [[label for label in labels_in(text) if params.labels and label not in params.labels]]
    }
    return clips["label"].map(problems).astype("string")


def class_facts(manifest: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """One row a label, allowed labels without a clip included: clips, sources, clips of each split, imbalance.

    Where clips may have several labels, each counts for every one of them.
    """
    labelled = one_row_a_label(manifest)
    labels = sorted({*labelled["label"], *params.labels})
    by_label = labelled.groupby("label")
    facts = pd.DataFrame({"label": labels})
    clips = by_label.size().reindex(labels, fill_value=0)
    facts["clips"] = clips.to_list()
    facts["sources"] = by_label["source_id"].nunique().reindex(labels, fill_value=0).to_list()
    for split in SPLITS:
        of_split = labelled[labelled["split"] == split].groupby("label").size()
        facts[f"{split}_clips"] = of_split.reindex(labels, fill_value=0).to_list()
    facts["imbalance"] = [round(clips.max() / max(count, 1), 2) for count in clips]
    return facts


def _half_known(clips: pd.DataFrame) -> pd.Series:
    problem = pd.Series(pd.NA, index=clips.index, dtype="string")
    problem[clips["label"].notna() & clips["split"].isna()] = "a label, but no split"
    problem[clips["label"].isna() & clips["split"].notna()] = "a split, but no label"
    return problem


def _label_problems(clips: pd.DataFrame) -> pd.Series:
    """Sets of labels that are not written as ingest writes them, or that both columns give differently."""
    problems = [
        _label_problem(text, labels) if isinstance(text, str) else None
        for text, labels in zip(clips["label"], clips["labels"], strict=True)
    ]
    return pd.Series(problems, index=clips.index, dtype="string")


def _label_problem(text: str, labels: Sequence[str] | None) -> str | None:
    named = labels_in(text)
    if len(set(named)) < len(named):
        return f"a label is there twice: {text}"
    if written(named) != text or "" in named:
        return f"not written as a set of labels: {text}"
    return None if labels is not None and list(labels) == list(named) else f"labels and label differ: {text}"


def _in_the_future(clips: pd.DataFrame, now: datetime) -> pd.Series:
    late = clips["captured_at"] > now
    found = pd.Series(pd.NA, index=clips.index, dtype="string")
    found[late] = clips.loc[late, "captured_at"].astype("string")
    return found


def _shard_problems(clips: pd.DataFrame, folder: Path, passed_N: NDArray[np.bool_]) -> pd.Series:
    """Clips whose frames are not where the manifest says."""
    problem_N = np.full(len(clips), None, object)
    open_X = np.flatnonzero(~passed_N)
    read = clips[["clip_id", "shard", "row"]].iloc[open_X].reset_index(drop=True)
    for shard, place_C in read.groupby("shard").indices.items():
        problem_N[open_X[place_C]] = _problems_in(folder / str(shard), read.iloc[place_C])
    return pd.Series(problem_N, index=clips.index, dtype="string")


def _problems_in(shard: Path, clips: pd.DataFrame) -> list[str | None]:
    """What is wrong with each of ``clips``, all of which should be in ``shard``."""
    content = _content(shard)
    if isinstance(content, str):
        return [content] * len(clips)
    return [
        None
        if 0 <= row < len(content) and content[row] == clip_id
        else f"{shard.name[:12]} has another clip in row {row}"
        for clip_id, row in zip(clips["clip_id"], clips["row"], strict=True)
    ]


def _content(path: Path) -> list[str] | str:
    """The clips of a shard, or what is wrong with it."""
    if not path.is_file():
        return f"{path.name[:12]} is missing"
    if not verify_shard(path):
        return f"{path.name[:12]} is damaged"
    try:
        return list(read_index(path).facts)
    except UserError:
        return f"{path.name[:12]} is damaged"


def _overlaps_across_splits(clips: pd.DataFrame) -> pd.Series:
    """For a clip that shows a stretch of a file which a clip of another split shows too: that clip."""
    found_N = np.full(len(clips), None, object)
    clip_id_N, split_N = clips["clip_id"].to_numpy(object), clips["split"].to_numpy(object)
    start_N, end_N = clips["start_s"].to_numpy(), clips["end_s"].to_numpy()
    for of_file in _suspected(clips):
        last: dict[str, tuple[float, int]] = {}  # by split: the clip of it that reaches furthest so far
        for at in of_file.tolist():
            split, end_s = split_N[at], end_N[at]
            for other, (other_end_s, other_at) in last.items():
                if other != split and start_N[at] < other_end_s:
                    found_N[at] = clip_id_N[other_at]
                    found_N[other_at] = clip_id_N[at]
            if end_s > last.get(split, (-1.0, -1))[0]:
                last[split] = (end_s, at)
    return pd.Series(found_N, index=clips.index, dtype="string")


def _suspected(clips: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Of each file with clips in several splits and clips that overlap, whichever they are: its clips by start."""
    place_X = np.flatnonzero((clips["split"].notna() & clips["sha256"].notna()).to_numpy())
    if not len(place_X):
        return
    file_X = pd.factorize(clips["sha256"].iloc[place_X])[0]
    order_X = np.lexsort((clips["start_s"].iloc[place_X], file_X))
    place_X, file_X = place_X[order_X], file_X[order_X]
    first_F = np.flatnonzero(np.diff(file_X, prepend=-1))
    split_X = pd.factorize(clips["split"].iloc[place_X])[0]
    in_several_F = np.minimum.reduceat(split_X, first_F) != np.maximum.reduceat(split_X, first_F)
    end_X = pd.Series(clips["end_s"].to_numpy()[place_X]).groupby(file_X).cummax().to_numpy()
    overlaps_X = np.append(False, clips["start_s"].to_numpy()[place_X[1:]] < end_X[:-1])
    overlaps_X[first_F] = False
    overlap_F = np.logical_or.reduceat(overlaps_X, first_F)
    of_file = np.split(place_X, first_F[1:])
    for file in np.flatnonzero(in_several_F & overlap_F):
        yield of_file[file]


def _splits_of_source(clips: pd.DataFrame) -> pd.Series:
    """The names of all splits that a clip's source is in."""
    pairs = clips[["source_id", "split"]].dropna().drop_duplicates()
    in_several = pairs["source_id"].duplicated(keep=False)
    names = pairs[~in_several].set_index("source_id")["split"].astype(object)
    several = pairs[in_several].groupby("source_id")["split"].agg(_names).astype(object)
    return clips["source_id"].map(pd.concat([names, several]))


def _names(splits: pd.Series) -> str:
    return ", ".join(sorted(splits, key=lambda name: _ORDER.get(name, len(_ORDER))))
