"""The manifest as tables that expectations can be put on: one row a clip, and one row a class.

What concerns several clips, or files, is worked out here as a column: null where all is well, otherwise what is wrong.
So every expectation is about one value of one row, and a failing one names its rows.
"""

from datetime import datetime
from pathlib import Path

import pandas as pd

from models.clips.manifest import PSEUDO, SPLITS
from models.clips.shards import read_index, verify_shard
from models.errors import UserError
from tasks.params import SplitParams, ValidateParams

_ORDER = {split: place for place, split in enumerate(SPLITS)}


def clip_facts(manifest: pd.DataFrame, shards: Path, split: SplitParams, now: datetime) -> pd.DataFrame:
    """One row a clip: the manifest's columns and what follows from them.

    Args:
        manifest: As ingest wrote it.
        shards: Folder of the shards.
        split: How the splits were made; it decides what counts as a leak.
        now: A clip that was captured later than this comes from the future.
    """
    facts = manifest.copy()
    facts["duration_s"] = facts["end_s"] - facts["start_s"]
    facts["short_side_px"] = facts[["width", "height"]].min(axis=1)
    facts["half_known"] = _half_known(facts)
    facts["guessed_in"] = facts["split"].where((facts["label_origin"] == PSEUDO) & (facts["split"] != "train"))
    facts["in_the_future"] = facts["captured_at"].where(facts["captured_at"] > now).astype("string")
    facts["shard_problem"] = _shard_problems(facts, shards)
    facts["shared_with"] = _overlaps_across_splits(facts)
    if split.by == "source":
        facts["splits_of_source"] = facts.groupby("source_id")["split"].transform(_names)
    return facts


def class_facts(manifest: pd.DataFrame, params: ValidateParams) -> pd.DataFrame:
    """One row a label, allowed labels without a clip included: clips, sources, clips of each split, imbalance."""
    labelled = manifest[manifest["label"].notna()]
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


def _shard_problems(clips: pd.DataFrame, folder: Path) -> pd.Series:
    """Clips whose frames are not where the manifest says."""
    contents = {shard: _content(folder / shard) for shard in clips["shard"].unique()}
    problems: list[str | None] = []
    for clip_id, shard, row in zip(clips["clip_id"], clips["shard"], clips["row"], strict=True):
        content = contents[shard]
        if isinstance(content, str):
            problems.append(content)
        else:
            problems.append(None if content.get(row) == clip_id else f"{shard[:12]} has another clip in row {row}")
    return pd.Series(problems, index=clips.index, dtype="string")


def _content(path: Path) -> dict[int, str] | str:
    if not path.is_file():
        return f"{path.name[:12]} is missing"
    if not verify_shard(path):
        return f"{path.name[:12]} is damaged"
    try:
        return dict(enumerate(read_index(path).facts))
    except UserError:
        return f"{path.name[:12]} is damaged"


def _overlaps_across_splits(clips: pd.DataFrame) -> pd.Series:
    """For a clip that shows a stretch of a file which a clip of another split shows too: that clip."""
    found = pd.Series(pd.NA, index=clips.index, dtype="string")
    for _, of_file in clips[clips["split"].notna()].sort_values("start_s").groupby("sha256", sort=False):
        last: dict[str, tuple[float, int]] = {}  # by split: the clip of it that reaches furthest so far
        for at, split, start_s, end_s in zip(
            of_file.index, of_file["split"], of_file["start_s"], of_file["end_s"], strict=True
        ):
            for other, (other_end_s, other_at) in last.items():
                if other != split and start_s < other_end_s:
                    found[at] = clips.at[other_at, "clip_id"]
                    found[other_at] = clips.at[at, "clip_id"]
            if end_s > last.get(split, (-1.0, -1))[0]:
                last[split] = (end_s, at)
    return found


def _names(splits: pd.Series) -> str | None:
    return ", ".join(sorted(splits.dropna().unique(), key=lambda name: _ORDER.get(name, len(_ORDER)))) or None
