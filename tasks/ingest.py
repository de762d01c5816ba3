"""Take labelled video into the dataset: ``python -m tasks.ingest SOURCE``.

The dataset only grows: clips that an earlier source brought stay when a later one does not name them. A clip is known
by its content, so ingesting the same source again decodes nothing; what the latest source says about a known clip (its
label, source, time) is what holds. To take clips out, remove ``manifest.parquet`` and ingest what should stay: stored
frames are used again, splits are assigned anew.
"""

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from models.clips.manifest import SCHEMA, manifest_note, read_manifest, write_manifest
from models.errors import UserError
from tasks.layout import DATA, MANIFEST, QUARANTINE, SHARDS
from tasks.params import IngestParams, SplitParams, load_params
from tasks.process import run_stage
from tasks.split import assign_splits
from tasks.video.clips import Recipe, Refused
from tasks.video.identity import Candidate, identified
from tasks.video.intake import store_missing
from tasks.video.quarantine import Rejected, refused_before, write_quarantine
from tasks.video.shelf import DECODER_VERSION, Shelf
from tasks.video.sources import read_claims

logger = logging.getLogger(__name__)

_MAX_REPORTED = 20


@dataclass(frozen=True)
class IngestSummary:
    """What the dataset holds now, and what the source added.

    Attributes:
        clips: In the dataset.
        new_clips: That were not in it before.
        sources: In the dataset.
        classes: In the dataset.
        quarantined: Path and reason of everything in the source that was not taken.
    """

    clips: int
    new_clips: int
    sources: int
    classes: int
    quarantined: list[tuple[str, str]]


def ingest(
    source: Path,
    data: Path,
    ingest: IngestParams,
    split: SplitParams,
    *,
    seed: int,
    num_workers: int | None = None,
) -> IngestSummary:
    """Decode what is new in ``source`` into shards, and write the manifest and the quarantine list.

    Whenever it is interrupted, the same call goes on: finished shards are kept, and the old manifest stands until the
    new one replaces it.

    Args:
        source: A folder per class or a table; see :func:`tasks.video.sources.read_claims`.
        data: The dataset's folder; made if it is missing.
        ingest: Section ``ingest``.
        split: Section ``split``.
        seed: Breaks ties between sources when splitting.
        num_workers: Decoding processes; default: one a CPU. The result does not depend on it.

    Raises:
        UserError: The source cannot be used as it is; the manifest is as it was.
    """
    recipe = Recipe(**ingest.model_dump(exclude={"clips_per_shard"}))
    claims = read_claims(source)
    with _alone_in(data):
        known = _known(data)
        candidates, rejected = identified(claims)
        _report(rejected)
        others = known[~known["clip_id"].isin([candidate.clip_id for candidate in candidates])]
        kept = _kept_splits(known, data, split, seed)
        if candidates:  # before hours of decoding: would what is claimed make a dataset?
            _with_splits(others, [_claimed(candidate) for candidate in candidates], kept, split, seed)
        shelf = Shelf(data / SHARDS.name, recipe, ingest.clips_per_shard, set(known["shard"]))
        _check_others(others, shelf, data)
        before = refused_before(data / QUARANTINE.name, _recipe_key(recipe))
        refusals = store_missing(candidates, shelf, recipe, before, num_workers=num_workers)
        undecodable = [_rejected(candidate, refusals) for candidate in candidates if candidate.clip_id in refusals]
        _report(undecodable)
        rejected += undecodable
        write_quarantine(rejected, data / QUARANTINE.name, _recipe_key(recipe))
        rows = [_row(candidate, shelf) for candidate in candidates if candidate.clip_id not in refusals]
        if not rows and others.empty:
            raise UserError(f"{source}: nothing in it could be taken; {rejected[0].claim.uri} {rejected[0].refused}")
        manifest = _with_splits(others, rows, kept, split, seed)
        write_manifest(manifest, data / MANIFEST.name, note=_split_key(split, seed))
        shelf.sweep(manifest["shard"])
        for leftover in data.glob(".*.parquet.*"):
            leftover.unlink()
    return IngestSummary(
        clips=len(manifest),
        new_clips=int((~manifest["clip_id"].isin(known["clip_id"])).sum()),
        sources=manifest["source_id"].nunique(),
        classes=manifest["label"].nunique(),
        quarantined=[(entry.claim.uri, str(entry.refused)) for entry in rejected],
    )


@contextmanager
def _alone_in(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    folder = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{data}: another ingest is writing here; wait for it to end") from None
    finally:
        os.close(folder)


def _known(data: Path) -> pd.DataFrame:
    path = data / MANIFEST.name
    return read_manifest(path) if path.exists() else pd.DataFrame({name: [] for name in SCHEMA.names}, dtype=object)


def _kept_splits(known: pd.DataFrame, data: Path, split: SplitParams, seed: int) -> dict[str, str]:
    """The assignments that stay: of sources with ``split.by: source``, else of clips."""
    if known.empty or (split.by != "given" and manifest_note(data / MANIFEST.name) != _split_key(split, seed)):
        return {}
    return dict(zip(known[_split_unit(split)], known["split"], strict=True))


def _split_unit(split: SplitParams) -> str:
    return "source_id" if split.by == "source" else "clip_id"


def _split_key(split: SplitParams, seed: int) -> str:
    return json.dumps({**split.model_dump(), "seed": seed}, sort_keys=True)


def _with_splits(
    others: pd.DataFrame, rows: list[dict[str, Any]], kept: dict[str, str], split: SplitParams, seed: int
) -> pd.DataFrame:
    clips = pd.DataFrame([*others.to_dict("records"), *rows])
    clips["captured_at"] = pd.to_datetime(clips["captured_at"], utc=True)
    stays = clips[_split_unit(split)].map(kept)
    clips["split"] = clips["split"].fillna(stays) if split.by == "given" else stays
    clips["split"] = assign_splits(clips, split, seed=seed)
    return clips


def _claimed(candidate: Candidate) -> dict[str, Any]:
    claim = candidate.claim
    return {
        "clip_id": candidate.clip_id,
        "source_id": claim.source_id,
        "uri": claim.uri,
        "sha256": candidate.fingerprint.sha256,
        "label": claim.label,
        "start_s": claim.segment.start_s,
        "captured_at": claim.captured_at,
        "split": claim.split,
    }


def _row(candidate: Candidate, shelf: Shelf) -> dict[str, Any]:
    stored = shelf.get(candidate.clip_id)
    assert stored is not None
    return {**_claimed(candidate), "shard": stored.shard, "row": stored.row, **stored.facts}


def _rejected(candidate: Candidate, refusals: Mapping[str, Refused]) -> Rejected:
    return Rejected(candidate.claim, refusals[candidate.clip_id], candidate.clip_id, candidate.fingerprint.sha256)


def _report(rejected: Sequence[Rejected]) -> None:
    for entry in rejected[:_MAX_REPORTED]:
        logger.warning("quarantined: %s %s", entry.claim.uri, entry.refused)
    if len(rejected) > _MAX_REPORTED:
        logger.warning("quarantined: %d more", len(rejected) - _MAX_REPORTED)


def _check_others(others: pd.DataFrame, shelf: Shelf, data: Path) -> None:
    strange = others[~others["shard"].isin(shelf.shards)]
    if strange.empty:
        return
    shard = strange["shard"].iloc[0]
    if shard not in shelf.shards_of_other_recipes:
        raise UserError(f"{data / SHARDS.name / shard}: this shard is missing or damaged; run `dvc checkout --force`")
    raise UserError(
        f"{data}: {len(strange)} clips that the source does not name were stored with other parameters: set ingest in "
        "params.yaml as it was, or ingest a source that names all clips"
    )


def _recipe_key(recipe: Recipe) -> str:
    return json.dumps({"decoder": DECODER_VERSION, **asdict(recipe)}, sort_keys=True)


def main() -> None:
    """Ingest the source that the command line names into ``data/``."""
    if len(sys.argv) != 2:
        raise UserError("usage: python -m tasks.ingest SOURCE (a folder per class, or a table)")
    params = load_params()
    summary = ingest(Path(sys.argv[1]), DATA, params.ingest, params.split, seed=params.base.seed)
    logger.info(
        "%d clips (%d new) from %d sources in %d classes, %d in quarantine",
        summary.clips,
        summary.new_clips,
        summary.sources,
        summary.classes,
        len(summary.quarantined),
    )


if __name__ == "__main__":
    run_stage(main)
