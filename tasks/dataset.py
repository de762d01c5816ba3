"""The dataset's folder: who may write it, what it holds, and which clips have which label and split.

Ingest, labels that come back and pseudo-labels all end here, so that they follow one rule.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from models.clips.label_sets import is_multi_label, one_row_a_label
from models.clips.manifest import PERSON, PSEUDO, SCHEMA, manifest_note, read_manifest, write_manifest
from models.errors import UserError
from tasks.layout import MANIFEST
from tasks.params.data import SplitParams
from tasks.split import UnsplittableClassError, assign_splits

_GUESSED = "pseudo"
"""In the manifest's note: what had pseudo-labels, in the units that are split."""


@contextmanager
def alone_in(data: Path) -> Iterator[None]:
    """Hold the dataset's folder, which is made if it is missing.

    Raises:
        UserError: Another process holds it.
    """
    data.mkdir(parents=True, exist_ok=True)
    folder = os.open(data, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{data}: another ingest is writing here; wait for it to end") from None
    finally:
        os.close(folder)


def known_clips(data: Path, *, multi_label: bool | None = None) -> pd.DataFrame:
    """The manifest, or an empty one where there is no dataset yet.

    Args:
        data: The dataset's folder.
        multi_label: Whether clips may have several labels; None for what the manifest says.

    Raises:
        UserError: The manifest says otherwise.
    """
    path = data / MANIFEST.name
    if not path.exists():
        columns = [*SCHEMA.names, *(["labels"] if multi_label else [])]
        return pd.DataFrame({name: [] for name in columns}, dtype=object)
    clips = read_manifest(path)
    if multi_label not in (None, is_multi_label(clips)):
        raise UserError(
            f"{path}: it was made with ingest.multi_label: {str(not multi_label).lower()}; set that in params.yaml "
            "again, or remove the manifest and ingest all sources anew (frames that are stored are used again)"
        )
    return clips


def together(known: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The clips of both, in this order; ``new`` may lack columns."""
    if new.empty or known.empty:
        return known if new.empty else new
    captured_at = pd.to_datetime(new["captured_at"], utc=True)
    return pd.concat([known, new.assign(captured_at=captured_at)], ignore_index=True)


def store_clips(clips: pd.DataFrame, data: Path, split: SplitParams | None, seed: int) -> None:
    """Write the manifest, with a note of how its splits came about and of what had pseudo-labels."""
    path = data / MANIFEST.name
    if split is None:
        write_manifest(clips, path)
        return
    before = _guessed_before(path, split, seed) if path.exists() else set()
    guessed = before | set(clips.loc[clips["label_origin"] == PSEUDO, _split_unit(split)])
    write_manifest(clips, path, note=_note(split, seed, guessed))


def kept_splits(known: pd.DataFrame, data: Path, split: SplitParams, seed: int) -> dict[str, str]:
    """The assignments that stay: of sources with ``split.by: source``, else of clips.

    What had a pseudo-label stays in train, also when it has lost that label: a model was trained on it, and would be
    tested on it otherwise once people label its source. Given splits are those of the table alone.
    """
    path = data / MANIFEST.name
    if known.empty:
        return {}
    bound = known[_is_settled(known)]
    kept = dict(zip(bound[_split_unit(split)], bound["split"], strict=True))
    if split.by == "given":
        return kept
    if not _is_dealt_by(path, split, seed):
        return {}
    pseudo = known.loc[known["label_origin"] == PSEUDO, _split_unit(split)]
    return dict.fromkeys([*pseudo, *_guessed_before(path, split, seed)], "train") | kept


def labelled(clips: pd.DataFrame, known: pd.DataFrame, by_person: Mapping[str, str]) -> pd.DataFrame:
    """Put on ``clips``, as their source describes them, the labels that people gave.

    A person's label holds against the source's. A source without labels takes none away, and moves no clip that has one
    to another source: that would move it to another split, and a model may have been trained on it.

    Args:
        clips: As the source describes them, or as they are known.
        known: The manifest so far.
        by_person: The label table: labels by clip_id.
    """
    before = known.dropna(subset=["label"]).set_index("clip_id")
    held = before.reindex(clips["clip_id"])
    has_N = held["label"].notna().to_numpy()
    stays_N = has_N & clips["label"].isna().to_numpy()
    holds_N = stays_N | (has_N & (held["label_origin"] == PERSON).to_numpy())
    given = clips["clip_id"].map(by_person)
    clips = clips.astype({"label": object, "label_origin": object})
    clips["source_id"] = clips["source_id"].mask(stays_N, held["source_id"].to_numpy())
    for column in ("label", "label_origin"):
        clips[column] = clips[column].mask(holds_N, held[column].astype(object).to_numpy())
    clips["label"] = given.where(given.notna(), clips["label"])
    clips["label_origin"] = clips["label_origin"].mask(given.notna(), PERSON)
    return clips


@dataclass(frozen=True)
class Settled:
    """Clips with their splits.

    Attributes:
        clips: One row a clip.
        waiting: Clips by class that people named and that cannot be split yet; they count as unlabelled until then.
    """

    clips: pd.DataFrame
    waiting: dict[str, int]


def settled(clips: pd.DataFrame, kept: Mapping[str, str], split: SplitParams, seed: int) -> Settled:
    """Give every labelled clip its split.

    A class that only people's labels brought waits while it cannot be split, as when all its clips come from one
    source: nobody's work is refused, and no round is held up.

    Args:
        clips: Columns as for :func:`tasks.split.assign_splits`, and ``label_origin``.
        kept: From :func:`kept_splits`.
        split: Section ``split``.
        seed: Breaks ties between sources.

    Raises:
        UserError: A class that a source of video brought cannot be split.
    """
    clips = clips.reset_index(drop=True)
    clips["captured_at"] = pd.to_datetime(clips["captured_at"], utc=True)
    stays = clips[_split_unit(split)].map(dict(kept))
    clips["split"] = clips["split"].fillna(stays) if split.by == "given" else stays
    waiting: dict[str, int] = {}
    while True:
        try:
            ours = _is_settled(clips)
            clips["split"] = assign_splits(clips[ours], split, seed=seed).reindex(clips.index).astype(object)
            break
        except UnsplittableClassError as error:
            of_class = ours & _has_label(clips, error.label)
            if not (clips.loc[of_class, "label_origin"] == PERSON).all():
                raise
            waiting[error.label] = int(of_class.sum())
            clips.loc[of_class, ["label", "label_origin"]] = None
    return Settled(_with_pseudo_labels(clips, split), waiting)


def waits(label: str, num_clips: int) -> str:
    """Says what it means that a class waits, for people."""
    return (
        f"class {label!r}: {num_clips} labelled clips wait until it has clips in train, val and test; label or add "
        "clips of it from other sources"
    )


def _with_pseudo_labels(clips: pd.DataFrame, split: SplitParams) -> pd.DataFrame:
    """Train on pseudo-labels, except those of sources that are validated or tested on: these are dropped.

    By time a source is in every split anyway, and none of its pseudo-labels is ever tested on.
    """
    pseudo = clips["label_origin"] == PSEUDO
    tested_on = set(clips.loc[clips["split"].isin(["val", "test"]), "source_id"]) if split.by != "time" else set()
    dropped = pseudo & clips["source_id"].isin(tested_on)
    clips.loc[dropped, ["label", "label_origin"]] = None
    clips.loc[pseudo & ~dropped, "split"] = "train"
    return clips


def _is_settled(clips: pd.DataFrame) -> pd.Series:
    return clips["label"].notna() & (clips["label_origin"] != PSEUDO)


def _has_label(clips: pd.DataFrame, label: str) -> pd.Series:
    rows = one_row_a_label(clips)
    return pd.Series(clips.index.isin(rows.index[rows["label"] == label]), clips.index)


def _split_unit(split: SplitParams) -> str:
    return "source_id" if split.by == "source" else "clip_id"


def _note(split: SplitParams, seed: int, guessed: Collection[str]) -> str:
    rules = {**split.model_dump(), "seed": seed}
    return json.dumps(rules | ({_GUESSED: sorted(guessed)} if guessed else {}), sort_keys=True)


def _is_dealt_by(path: Path, split: SplitParams, seed: int) -> bool:
    note: dict[str, object] = json.loads(manifest_note(path) or "{}")
    rules: dict[str, object] = json.loads(_note(split, seed, ()))
    return {key: value for key, value in note.items() if key != _GUESSED} == rules


def _guessed_before(path: Path, split: SplitParams, seed: int) -> set[str]:
    """Sources, or else clips, that have or had pseudo-labels; none where the splits were dealt by other rules."""
    if not _is_dealt_by(path, split, seed):
        return set()
    return set(json.loads(manifest_note(path)).get(_GUESSED, ()))
