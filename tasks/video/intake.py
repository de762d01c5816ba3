"""From files to the shelf: decodes what is not stored yet, and says why some of it cannot be."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby

from tqdm import tqdm

from tasks.video.clips import DecodedClip, Job, Limits, Recipe, Refused
from tasks.video.identity import Candidate
from tasks.video.pool import decode_all
from tasks.video.shelf import Shelf

logger = logging.getLogger(__name__)

_LOG_EVERY = 100
# One pass over a file serves so many segments; more are shared between workers.
_SEGMENTS_PER_JOB = 8


def store_missing(
    candidates: Sequence[Candidate],
    shelf: Shelf,
    recipe: Recipe,
    refused_before: Mapping[str, Refused],
    limits: Limits,
    *,
    num_workers: int | None = None,
) -> dict[str, Refused]:
    """Put every candidate on the shelf that is not there.

    Args:
        candidates: Clips with their files.
        shelf: Where they go; flushed at the end.
        recipe: How frames are stored, and which durations are taken.
        refused_before: Verdicts, by clip_id, that need no second look.
        limits: What decoding one file may cost.
        num_workers: Decoding processes; default: one a CPU.

    Returns:
        Why a clip is not taken, by clip_id.
    """
    refusals: dict[str, Refused] = {}
    missing: list[Candidate] = []
    for candidate in candidates:
        if (stored := shelf.get(candidate.clip_id)) is not None:
            try:
                recipe.check_duration(stored.facts["end_s"] - stored.facts["start_s"])
            except Refused as refused:
                refusals[candidate.clip_id] = refused
        elif candidate.clip_id in refused_before:
            refusals[candidate.clip_id] = refused_before[candidate.clip_id]
        else:
            missing.append(candidate)
    for candidate, outcome in _decoded(missing, recipe, limits, num_workers):
        if isinstance(outcome, Refused):
            refusals[candidate.clip_id] = outcome
        else:
            shelve(candidate, outcome, shelf)
    shelf.flush()
    return refusals


def shelve(candidate: Candidate, clip: DecodedClip, shelf: Shelf) -> None:
    """Store a clip, and say what was left out of it."""
    if clip.num_disordered:
        named = (candidate.claim.uri, clip.num_disordered)
        logger.warning("%s: %d frames whose time stamps repeat or go backwards are left out", *named)
    shelf.add(candidate.clip_id, clip)


def _decoded(
    candidates: Sequence[Candidate], recipe: Recipe, limits: Limits, num_workers: int | None
) -> Iterator[tuple[Candidate, DecodedClip | Refused]]:
    parts = list(batches(candidates))
    jobs = [
        Job(str(batch[0].claim.path), tuple(entry.claim.segment for entry in batch), recipe, limits) for batch in parts
    ]
    num_done = 0
    with (
        closing(decode_all(jobs, num_workers=num_workers, memory_gb=limits.memory_gb)) as outcomes_of_jobs,
        tqdm(total=len(candidates), desc="ingest", unit="clip", disable=None) as progress,
    ):
        for batch, outcomes in zip(parts, outcomes_of_jobs, strict=True):
            changed = batch[0].changed()
            for candidate, outcome in zip(batch, outcomes, strict=True):
                yield candidate, changed or outcome
            progress.update(len(batch))
            num_done += len(batch)
            if num_done // _LOG_EVERY > (num_done - len(batch)) // _LOG_EVERY:
                logger.info("%d of %d clips decoded", num_done, len(candidates))


def batches(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """The candidates in parts that one pass over a file serves, segments ascending; a file's own stand together."""
    for _, of_file in groupby(candidates, key=lambda candidate: candidate.claim.path):
        ascending = sorted(of_file, key=lambda candidate: candidate.claim.segment.start_s)
        for start in range(0, len(ascending), _SEGMENTS_PER_JOB):
            yield ascending[start : start + _SEGMENTS_PER_JOB]
