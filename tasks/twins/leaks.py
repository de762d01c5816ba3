"""Copies of clips in a dataset: which there are, and which of them leak from one split into another."""

from pathlib import Path

import pandas as pd

from tasks.params.data import NearDuplicateParams
from tasks.twins.kept import prints_of
from tasks.twins.pairs import near_copies

COPIED_BY = "copied_by"
"""Column of a clip's facts: a clip of another split that is a copy of it, and that split; null where there is none."""

_KNOWN = ["clip_id", "name", "source_id", "label", "split"]


def names_of(clips: pd.DataFrame) -> pd.Series:
    """What people call each clip: its file, and its stretch of it where the file has several clips."""
    names, several = clips["uri"].astype(object), clips["uri"].duplicated(keep=False)
    stretches = clips.loc[several, ["uri", "start_s", "end_s"]].itertuples(index=False)
    names[several] = [f"{uri} from {start_s:g} to {end_s:g} s" for uri, start_s, end_s in stretches]
    return names


def copies(clips: pd.DataFrame, shards: Path, home: Path, params: NearDuplicateParams) -> pd.DataFrame:
    """All pairs of clips of which one is a copy of the other.

    Args:
        clips: The manifest, or the rows of it that matter.
        shards: Folder of the shards.
        home: Where prints are kept; see :mod:`tasks.twins.kept`.
        params: Section ``validate.near_duplicates``.

    Returns:
        One row a pair, nearest first: ``distance``, ``shift_s`` and ``words`` as :func:`tasks.twins.pairs.near_copies`
        has them, and what the manifest says of both clips: ``first_name`` (see :func:`names_of`), ``first_split`` and
        so on.
    """
    pairs = near_copies(prints_of(clips, shards, home), params.distance)
    clips = clips.assign(name=names_of(clips))
    for which in ("first", "second"):
        known = clips[_KNOWN].iloc[pairs.pop(which).astype(int)].reset_index(drop=True)
        pairs = pairs.join(known.add_prefix(f"{which}_"))
    return pairs


def leaking(pairs: pd.DataFrame) -> pd.DataFrame:
    """Those of :func:`copies` whose clips are in two splits."""
    return pairs[pairs["first_split"].notna() & pairs["second_split"].notna() & _differ(pairs, "split")]


def contradicting(pairs: pd.DataFrame) -> pd.DataFrame:
    """Those of :func:`copies` whose clips have two labels."""
    return pairs[pairs["first_label"].notna() & pairs["second_label"].notna() & _differ(pairs, "label")]


def with_copies(clips: pd.DataFrame, shards: Path, home: Path, params: NearDuplicateParams) -> pd.DataFrame:
    """``clips`` with the column :data:`COPIED_BY`, which names the nearest copy in another split."""
    leaks = leaking(copies(clips[clips["split"].notna()], shards, home, params))
    copied: dict[str, str] = {}
    for one, other in (("first", "second"), ("second", "first")):
        named = leaks[f"{other}_name"] + " in " + leaks[f"{other}_split"]
        for clip_id, by in zip(leaks[f"{one}_clip_id"], named, strict=True):
            copied.setdefault(clip_id, by)
    return clips.assign(**{COPIED_BY: clips["clip_id"].map(copied).astype("string")})


def _differ(pairs: pd.DataFrame, column: str) -> pd.Series:
    return pairs[f"first_{column}"] != pairs[f"second_{column}"]
