"""What is wrong with the dataset in data/, which clips are concerned, and the remedy for each."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from infra.doctor import Finding
from models.clips.manifest import labels_of, read_manifest
from tasks import layout
from tasks.params.data import SplitParams, ValidateParams
from tasks.report.results import read_quarantine
from tasks.settings import settings
from tasks.twins.kept import prints_of
from tasks.twins.leaks import contradicting, copies, leaking, names_of
from tasks.validation.facts import clip_facts

_MOST_NAMED = 10
_TOGETHER = (
    "give both the same source_id in the table, so that they share a split, or remove one of them, and ingest again"
)


def examine_data(params: ValidateParams, split: SplitParams, *, data: Path = layout.DATA) -> Iterator[Finding]:
    """Look at the dataset in ``data``: damage, leaks, contradictions, what was refused.

    Raises:
        UserError: There is no dataset.
    """
    shards = data / layout.SHARDS.name
    clips = clip_facts(read_manifest(data / layout.MANIFEST.name), shards, split, now=datetime.now(UTC))
    labelled = clips["label"].notna()
    yield Finding(
        "clips",
        not clips.empty,
        f"{len(clips)} of {clips['source_id'].nunique()} sources in {len(labels_of(clips))} classes"
        f"{f'; {(~labelled).sum()} without a label' if not labelled.all() else ''}",
    )
    yield _damage(clips)
    yield _stretches(clips)
    yield from _copies(clips, shards, params)
    yield _refused(data / layout.QUARANTINE.name)


def _damage(clips: pd.DataFrame) -> Finding:
    damaged = clips[clips["shard_problem"].notna()]
    if damaged.empty:
        return Finding("frames", True, "all are where the manifest says, as they were written")
    problems = damaged["shard_problem"].value_counts()
    said = _listed(f"{problem} ({count} clips)" for problem, count in problems.items())
    return Finding("frames", False, f"{said}\nrun `dvc checkout --force data.dvc`, or ingest the source again")


def _stretches(clips: pd.DataFrame) -> Finding:
    shared = clips[clips["shared_with"].notna()]
    if shared.empty:
        return Finding("equal stretches", True, "no stretch of a file is in two splits")
    named = (names_of(clips) + " (" + clips["split"].astype(object) + ")").to_numpy(object)
    name_of = dict(zip(clips["clip_id"], named, strict=True))
    said = _listed(
        f"{name_of[clip_id]} overlaps {name_of[other]}"
        for clip_id, other in zip(shared["clip_id"], shared["shared_with"], strict=True)
    )
    return Finding("equal stretches", False, f"{said}\n{_TOGETHER}")


def _copies(clips: pd.DataFrame, shards: Path, params: ValidateParams) -> Iterator[Finding]:
    home = settings().home
    pairs = copies(clips, shards, home, params.near_duplicates)
    leaks, contradictions = leaking(pairs), contradicting(pairs)
    if leaks.empty:
        yield Finding("copies in two splits", True, "none")
    else:
        yield Finding("copies in two splits", False, f"{_pairs(leaks, 'split')}\n{_TOGETHER}")
    if contradictions.empty:
        yield Finding("copies with two labels", True, "none")
    else:
        said = _pairs(contradictions, "label")
        yield Finding("copies with two labels", False, f"{said}\ncorrect one of the labels, and ingest again")
    others = pairs.drop([*leaks.index, *contradictions.index])
    if not others.empty:
        yield Finding("other copies", True, f"{_pairs(others, 'source_id')}\nthey do no harm, and teach nothing new")
    if num_still := int((prints_of(clips, shards, home).num_moving == 0).sum()):
        yield Finding(
            "not compared",
            True,
            f"{num_still} clips, in which nothing moves or which last less than half a second: only equal files are "
            "found among them",
        )


def _refused(path: Path) -> Finding:
    refused = read_quarantine(path)
    if refused.empty:
        return Finding("quarantine", True, "no file was refused")
    reasons = refused["reason"].value_counts()
    said = _listed(f"{count} x {reason}" for reason, count in reasons.items())
    return Finding("quarantine", True, f"{len(refused)} refused\n{said}\n`videoloop profile` names all files")


def _pairs(pairs: pd.DataFrame, told: str) -> str:
    """Each pair as a line, with the column ``told`` of both."""
    return _listed(
        f"{pair['first_name']} ({pair[f'first_{told}']}) and {pair['second_name']} ({pair[f'second_{told}']}): "
        f"{pair['distance']:.1f} of 64 bits differ{_shifted(pair['shift_s'])}"
        for pair in pairs.to_dict("records")
    )


def _shifted(shift_s: float) -> str:
    if not shift_s:
        return ""
    earlier, later = ("first", "second") if shift_s > 0 else ("second", "first")
    return f"; the {later} begins {abs(shift_s):.1f} s into the {earlier}"


def _listed(lines: Iterable[str]) -> str:
    every = list(lines)
    hidden = len(every) - _MOST_NAMED
    return "\n".join([*every[:_MOST_NAMED], *([f"... and {hidden} more"] if hidden > 0 else [])])
