"""Take video into the dataset: ``python -m tasks.ingest SOURCE``.

The dataset only grows: clips that an earlier source brought stay when a later one does not name them. A clip is known
by its content, so ingesting the same source again decodes nothing; what the latest source says about a known clip (its
label, source, time) is what holds, except that a label which a person gave on request (``person_labels.csv``) stays.
Video without labels waits in the dataset for such a label. To take clips out, remove ``manifest.parquet`` and ingest
what should stay: stored frames are used again, splits are assigned anew.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from models.clips.manifest import labels_of
from models.errors import UserError
from tasks.dataset import Settled, alone_in, kept_splits, known_clips, labelled, settled, store_clips, together, waits
from tasks.labelling.table import read_label_table
from tasks.layout import DATA, PERSON_LABELS, QUARANTINE, SHARDS
from tasks.params.data import IngestParams, SplitParams
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.sources.address import Source, source_at
from tasks.sources.supply import supply_of
from tasks.video.clips import Limits, Recipe, Refused
from tasks.video.identity import Candidate, identified
from tasks.video.intake import store_missing
from tasks.video.quarantine import Rejected, refused_before, write_quarantine
from tasks.video.shelf import DECODER_VERSION, Shelf
from tasks.video.windows import check_windows, cut

logger = logging.getLogger(__name__)

_MAX_REPORTED = 20
# Raised when video that was refused is taken: what is in quarantine is then looked at again. 2: PQ.
_VERDICTS_VERSION = 2


@dataclass(frozen=True)
class IngestSummary:
    """What the dataset holds now, and what the source added.

    Attributes:
        clips: In the dataset.
        new_clips: That were not in it before.
        sources: In the dataset.
        classes: In the dataset.
        quarantined: Path and reason of everything in the source that was not taken.
        unlabelled: Clips in the dataset that have no label yet.
        pseudo: What a model labelled for the round, and why, in words; empty where it labelled nothing.
    """

    clips: int
    new_clips: int
    sources: int
    classes: int
    quarantined: list[tuple[str, str]]
    unlabelled: int = 0
    pseudo: str = ""


def ingest(
    source: Source,
    data: Path,
    ingest: IngestParams,
    split: SplitParams | None,
    *,
    seed: int,
    has_labels: bool = True,
    num_workers: int | None = None,
) -> IngestSummary:
    """Decode what is new in ``source`` into shards, and write the manifest and the quarantine list.

    Whenever it is interrupted, the same call goes on: finished shards are kept, and the old manifest stands until the
    new one replaces it.

    Args:
        source: A folder per class, a table, or a well-known dataset; the first two may lie in a bucket. See
            :func:`tasks.video.sources.read_claims` and :func:`tasks.sources.keys.read_contents`.
        data: The dataset's folder; made if it is missing. Beside it may lie the label table.
        ingest: Section ``ingest``.
        split: Section ``split``; None where nothing will be trained on here, so that labels may be few and splits none.
        seed: Breaks ties between sources when splitting.
        has_labels: Whether the source says what its clips show.
        num_workers: Decoding processes; default: one a CPU. The result does not depend on it.

    Raises:
        UserError: The source cannot be used as it is; the manifest is as it was.
    """
    recipe, limits = Recipe.of(ingest), Limits.of(ingest.limits)
    check_windows(ingest, split)
    terms = _terms(recipe, limits)
    by_person = read_label_table(data.parent / PERSON_LABELS.name)
    supplied = supply_of(source, data, ingest, split, terms, has_labels=has_labels)
    with alone_in(data), supplied as supply:
        known = known_clips(data, multi_label=ingest.multi_label)
        kept = kept_splits(known, data, split, seed) if split else {}
        foreseen = supply.foreseen()
        candidates, rejected = identified(supply.claims, foreseen)
        lengths = partial(supply.lengths, num_workers=num_workers)
        candidates, without_length = cut(candidates, ingest, lengths)
        rejected += without_length
        others = _others(known, candidates)
        if candidates:  # before hours of decoding: would what is claimed make a dataset?
            claimed = together(others, _table([_claimed(candidate) for candidate in candidates], ingest))
            _settled(labelled(claimed, known, by_person), kept, split, seed)
        named = {str(shard): list(clips["clip_id"]) for shard, clips in known.sort_values("row").groupby("shard")}
        shelf = Shelf(data / SHARDS.name, recipe, ingest.clips_per_shard, named)
        shelf.check(candidate.clip_id for candidate in candidates)
        before = refused_before(data / QUARANTINE.name, terms)
        is_known = supply.is_read
        if is_known:
            _check_others(others, shelf, data)
        brought = supply.bring(shelf, before, num_workers=num_workers)
        if not is_known or brought.fingerprints != foreseen:
            candidates, rejected = identified(supply.claims, brought.fingerprints)
            candidates, without_length = cut(candidates, ingest, lengths)
            rejected += without_length
        _report(rejected)
        others = _others(known, candidates)
        _check_others(others, shelf, data)
        undecided = [candidate for candidate in candidates if candidate.clip_id not in brought.refusals]
        refusals = store_missing(undecided, shelf, recipe, before, limits, num_workers=num_workers)
        refusals |= brought.refusals
        undecodable = [_rejected(candidate, refusals) for candidate in candidates if candidate.clip_id in refusals]
        _report(undecodable)
        rejected += undecodable
        write_quarantine(rejected, data / QUARANTINE.name, terms)
        taken = [candidate for candidate in candidates if candidate.clip_id not in refusals]
        shelf.compact([*others["clip_id"], *(candidate.clip_id for candidate in taken)])
        others = _placed(others, shelf)
        rows = [_row(candidate, shelf) for candidate in taken]
        if not rows and others.empty:
            raise UserError(f"{source}: nothing in it could be taken; {rejected[0].claim.uri} {rejected[0].refused}")
        found = _settled(labelled(together(others, _table(rows, ingest)), known, by_person), kept, split, seed)
        manifest = found.clips
        store_clips(manifest, data, split, seed)
        shelf.sweep(manifest["shard"])
        for leftover in data.glob(".*.parquet.*"):
            leftover.unlink()
    _say_what_changed(known, manifest)
    for label, num_clips in found.waiting.items():
        logger.warning("%s", waits(label, num_clips))
    return IngestSummary(
        clips=len(manifest),
        new_clips=int((~manifest["clip_id"].isin(known["clip_id"])).sum()),
        sources=manifest["source_id"].nunique(),
        classes=len(labels_of(manifest)),
        quarantined=[(entry.claim.uri, str(entry.refused)) for entry in rejected],
        unlabelled=int(manifest["label"].isna().sum()),
    )


def counted_anew(summary: IngestSummary, data: Path, pseudo: str) -> IngestSummary:
    """``summary`` with what has joined the dataset in ``data`` since, and what a model labelled, in words."""
    clips = known_clips(data)
    return replace(
        summary,
        clips=len(clips),
        new_clips=summary.new_clips + len(clips) - summary.clips,
        sources=clips["source_id"].nunique(),
        classes=len(labels_of(clips)),
        unlabelled=int(clips["label"].isna().sum()),
        pseudo=pseudo,
    )


def _settled(clips: pd.DataFrame, kept: Mapping[str, str], split: SplitParams | None, seed: int) -> Settled:
    if split is not None:
        return settled(clips, kept, split, seed)
    return Settled(clips.assign(captured_at=pd.to_datetime(clips["captured_at"], utc=True), split=None), {})


def _table(rows: list[dict[str, Any]], ingest: IngestParams) -> pd.DataFrame:
    clips = pd.DataFrame(rows)
    return clips.assign(labels=None) if ingest.multi_label and rows else clips


def _claimed(candidate: Candidate) -> dict[str, Any]:
    claim = candidate.claim
    return {
        "clip_id": candidate.clip_id,
        "source_id": claim.source_id,
        "uri": claim.uri,
        "sha256": candidate.fingerprint.sha256,
        "label": claim.label,
        "label_origin": None,
        "start_s": claim.segment.start_s,
        "captured_at": claim.captured_at,
        "split": claim.split,
    }


def _row(candidate: Candidate, shelf: Shelf) -> dict[str, Any]:
    stored = shelf.get(candidate.clip_id)
    assert stored is not None
    return {**_claimed(candidate), "shard": stored.shard, "row": stored.row, **stored.facts}


def _placed(others: pd.DataFrame, shelf: Shelf) -> pd.DataFrame:
    places = [shelf.get(clip_id) for clip_id in others["clip_id"]]
    return others.assign(shard=[place.shard for place in places if place], row=[place.row for place in places if place])


def _rejected(candidate: Candidate, refusals: Mapping[str, Refused]) -> Rejected:
    return Rejected(candidate.claim, refusals[candidate.clip_id], candidate.clip_id, candidate.fingerprint.sha256)


def _report(rejected: Sequence[Rejected]) -> None:
    for entry in rejected[:_MAX_REPORTED]:
        logger.warning("quarantined: %s %s", entry.claim.uri, entry.refused)
    if len(rejected) > _MAX_REPORTED:
        logger.warning("quarantined: %d more", len(rejected) - _MAX_REPORTED)


def _say_what_changed(known: pd.DataFrame, now: pd.DataFrame) -> None:
    """What a source says of known clips holds; that it moves clips between splits should surprise nobody."""
    before = known.set_index("clip_id").reindex(now["clip_id"])
    for column, name in (("label", "label"), ("source_id", "source"), ("split", "split")):
        was, became = before[column].to_numpy(object), now[column].to_numpy(object)
        changed = pd.notna(was) & pd.notna(became) & (was != became)
        if changed.any():
            first = int(changed.argmax())
            logger.warning(
                "%d known clips have another %s than before, such as %s: %r, was %r",
                changed.sum(),
                name,
                now["uri"].iloc[first],
                became[first],
                was[first],
            )


def _others(known: pd.DataFrame, candidates: Sequence[Candidate]) -> pd.DataFrame:
    return known[~known["clip_id"].isin([candidate.clip_id for candidate in candidates])]


def _check_others(others: pd.DataFrame, shelf: Shelf, data: Path) -> None:
    strange = others[~others["shard"].isin(shelf.shards)]
    if strange.empty:
        return
    shard = strange["shard"].iloc[0]
    if shard not in shelf.shards_of_other_recipes:
        num_clips = int((strange["shard"] == shard).sum())
        raise UserError(
            f"{data / SHARDS.name / shard}: this shard is missing or damaged; run `dvc checkout --force data.dvc`, or "
            f"ingest a source that has its other {num_clips} clips too"
        )
    raise UserError(
        f"{data}: {len(strange)} clips that the source does not name were stored with other parameters: set ingest in "
        "params.yaml as it was, or ingest a source that names all clips"
    )


def _terms(recipe: Recipe, limits: Limits) -> str:
    versions = {"decoder": DECODER_VERSION, "verdicts": _VERDICTS_VERSION}
    return json.dumps({**versions, **asdict(recipe), **asdict(limits)}, sort_keys=True)


def main() -> None:
    """Ingest the labelled source that the command line names into ``data/``."""
    if len(sys.argv) != 2:
        raise UserError(
            "usage: python -m tasks.ingest SOURCE (a folder per class or a table, here or at s3://; a known dataset)"
        )
    params = load_params()
    summary = ingest(source_at(sys.argv[1]), DATA, params.ingest, params.split, seed=params.base.seed)
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
