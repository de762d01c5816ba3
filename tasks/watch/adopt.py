"""Clips that came in join the dataset: those that people label, so that a round can train on them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from models.clips.manifest import PERSON, read_manifest
from models.clips.shards import ClipStore, StoredClip, read_index, write_shard
from tasks.dataset import alone_in, kept_splits, known_clips, labelled, settled, store_clips, together
from tasks.labelling.table import read_label_table
from tasks.layout import MANIFEST, PERSON_LABELS, SHARDS
from tasks.params.data import IngestParams, SplitParams
from tasks.video.clips import Recipe
from tasks.video.shelf import storage_key
from tasks.watch.place import incoming_folder


def adopt(
    data: Path, ingest: IngestParams, split: SplitParams, *, seed: int, wanted: Collection[str] | None = None
) -> int:
    """Copy clips that came in into the dataset in ``data``, with the labels that people gave, and give them splits.

    Args:
        data: The dataset's folder; beside it may lie the label table.
        ingest: How the dataset is stored; what came in otherwise stays where it is.
        split: Section ``split``.
        seed: Breaks ties between sources when splitting.
        wanted: Their identities; by default those that came with a label or are in the label table.

    Returns:
        How many were not in the dataset before.

    Raises:
        UserError: The dataset or what came in is damaged, the dataset was made with another ``ingest.multi_label``, or
            another process writes here.
    """
    recipe = Recipe.of(ingest)
    incoming = incoming_folder(recipe, multi_label=ingest.multi_label)
    if not (incoming / MANIFEST.name).exists():
        return 0
    came_in, by_person = read_manifest(incoming / MANIFEST.name), read_label_table(data.parent / PERSON_LABELS.name)
    if wanted is None:
        wanted = {*by_person, *came_in.loc[came_in["label"].notna(), "clip_id"]}
    with alone_in(data):
        known = known_clips(data, multi_label=ingest.multi_label)
        new = came_in[came_in["clip_id"].isin(list(wanted)) & ~came_in["clip_id"].isin(known["clip_id"])]
        if new.empty:
            return 0
        new = new.sort_values("clip_id", ignore_index=True)
        stored = _stored(incoming / SHARDS.name, new)
        places = [place for part in _parts(stored, ingest.clips_per_shard) for place in _written(data, part, recipe)]
        new = new.assign(
            shard=[shard for shard, _ in places],
            row=[row for _, row in places],
            split=None,
            # A class that cannot be split yet waits, as with labels that people give on request.
            label_origin=_origins(new),
        )
        clips = together(known, new)
        outcome = settled(labelled(clips, known, by_person), kept_splits(known, data, split, seed), split, seed)
        store_clips(outcome.clips, data, split, seed)
    return len(new)


def named_in(text: str, ingest: IngestParams) -> set[str]:
    """The identities of clips that came in and that ``text``, such as a filled-in labelling request, names."""
    incoming = incoming_folder(Recipe.of(ingest), multi_label=ingest.multi_label)
    if not (incoming / MANIFEST.name).exists():
        return set()
    return {clip_id for clip_id in read_manifest(incoming / MANIFEST.name)["clip_id"] if clip_id in text}


def _origins(clips: pd.DataFrame) -> "pd.Series[str]":
    origins = [PERSON if isinstance(label, str) else None for label in clips["label"]]
    return pd.Series(origins, index=clips.index, dtype=object)


def _stored(shards: Path, clips: pd.DataFrame) -> list[StoredClip]:
    store = ClipStore(shards)
    facts = {shard: read_index(shards / shard).facts for shard in clips["shard"].unique()}
    return [
        StoredClip(
            clip_id,
            *store.size(shard, row),
            store.times(shard, row).tolist(),
            [bytes(frame) for frame in store.frames(shard, row)],
            facts[shard][clip_id],
        )
        for clip_id, shard, row in zip(clips["clip_id"], clips["shard"], clips["row"], strict=True)
    ]


def _parts(stored: Sequence[StoredClip], size: int) -> list[Sequence[StoredClip]]:
    return [stored[start : start + size] for start in range(0, len(stored), size)]


def _written(data: Path, clips: Sequence[StoredClip], recipe: Recipe) -> list[tuple[str, int]]:
    (data / SHARDS.name).mkdir(parents=True, exist_ok=True)
    return write_shard(data / SHARDS.name, clips, storage_key(recipe))
