"""Video that comes in: through ingest's door, into a folder beside the dataset, and through the champion once.

Incoming video is stored as the champion's training video was, whatever params.yaml says now: another recipe would look
like drift. It joins the dataset only where people label it.
"""

import hashlib
import logging
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from models.clips.manifest import SCHEMA, read_manifest
from models.errors import UserError
from models.files import replacing
from models.saved import load_model
from tasks.ingest import ingest
from tasks.labelling.outputs import Outputs, read_outputs, write_outputs
from tasks.labelling.table import read_label_table
from tasks.layout import MANIFEST, PERSON_LABELS
from tasks.params.data import IngestParams
from tasks.settings import main_checkout
from tasks.sources.address import Source
from tasks.watch.champion import Champion
from tasks.watch.outputs import FACTS, outputs_of
from tasks.watch.place import watch_folder

logger = logging.getLogger(__name__)

_ARRIVALS = "arrivals.parquet"


def take_in(champion: Champion, source: Source, params: IngestParams, *, has_labels: bool) -> list[str]:
    """Bring the new video of ``source`` in; what was there before stays.

    Args:
        champion: Says how video is stored, and whether a clip may have several labels.
        source: A folder per source, or a table whose column ``label`` may be missing or have gaps; with
            ``has_labels`` a folder per class; of this machine or in a bucket.
        params: Says how many clips a shard has, what decoding may cost, how a bucket is read, and what separates the
            labels of a clip.
        has_labels: Whether the first folder's name is a class.

    Returns:
        What a person should know, such as that files were refused.

    Raises:
        UserError: There is no such source.
    """
    if isinstance(source, Path) and not source.exists():
        raise UserError(f"{source}: there is no such file or folder; name where incoming video lies")
    data, recipe = champion.incoming, vars(champion.recipe)
    try:
        found = ingest(
            source,
            data,
            IngestParams(
                **recipe,
                multi_label=champion.multi_label,
                label_separator=params.label_separator,
                clips_per_shard=params.clips_per_shard,
                limits=params.limits,
                windows=params.windows,
                bucket=params.bucket,
            ),
            None,
            seed=0,
            has_labels=has_labels,
        )
    except UserError as error:  # a day without video, or with nothing but damaged files, is a day to be told about
        logger.warning("%s", error)
        return [str(error)]
    notes = [f"{path} {reason}" for path, reason in found.quarantined[:3]]
    more = len(found.quarantined) - len(notes)
    return [f"not taken: {note}" for note in notes] + ([f"not taken: {more} more"] if more else [])


def came_in(champion: Champion, now: datetime) -> pd.DataFrame:
    """All that came in: the manifest's columns, ``at`` (when it was recorded, else when it arrived), and ``timed``.

    What was not there the last time arrived ``now``. Labels that people gave (``person_labels.csv`` of the checkout)
    are on it.
    """
    data = champion.incoming
    if not (data / MANIFEST.name).exists():
        none: dict[str, list[object]] = {column: [] for column in (*SCHEMA.names, "timed")}
        return pd.DataFrame(none).assign(at=pd.Series([], dtype="datetime64[us, UTC]"))
    _note_arrivals(data, now)
    clips = read_manifest(data / MANIFEST.name)
    given = clips["clip_id"].map(read_label_table(main_checkout() / PERSON_LABELS))
    clips["label"] = given.where(given.notna(), clips["label"].astype(object))
    arrived = clips["clip_id"].map(_arrivals(data))
    at = clips["captured_at"].where(clips["captured_at"].notna(), arrived)
    return clips.assign(at=pd.to_datetime(at, utc=True), timed=clips["captured_at"].notna())


def seen_by(champion: Champion, clips: pd.DataFrame) -> Outputs:
    """What ``champion`` makes of ``clips``, rows of :func:`came_in`; each clip goes through it once in its life."""
    cache = watch_folder(champion.name) / "embeddings" / champion.weights[:16]
    known = _cached(cache)
    known_ids = [] if known is None else known.clips["clip_id"].tolist()
    missing = clips[~clips["clip_id"].isin(known_ids)].sort_values("clip_id")
    if len(missing):
        made = _embedded(champion, missing)
        key = hashlib.sha256("\n".join(missing["clip_id"]).encode()).hexdigest()[:16]
        write_outputs(made, cache / f"{key}.parquet")
        known = made if known is None else _joined([known, made])
    if known is None:
        empty = np.empty((0, 0), np.float32)
        return Outputs(clips.reset_index(drop=True), empty, empty, champion.labels, champion.thresholds)
    place_of = {clip_id: place for place, clip_id in enumerate(known.clips["clip_id"])}
    rows_N = np.array([place_of[clip_id] for clip_id in clips["clip_id"]], np.int64)
    return Outputs(
        clips.reset_index(drop=True),
        known.embedding_ND[rows_N],
        known.probability_NK[rows_N],
        champion.labels,
        champion.thresholds,
    )


def facts_of(clips: pd.DataFrame) -> dict[str, np.ndarray]:
    """The input facts that are tested, by name."""
    facts = {fact: clips[fact].to_numpy(np.float64) for fact in FACTS if fact not in ("width", "height")}
    return facts | {"short_side": clips[["width", "height"]].to_numpy(np.float64).min(1)}


def _embedded(champion: Champion, clips: pd.DataFrame) -> Outputs:
    model, _ = load_model(champion.folder)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    return outputs_of(model, champion.labels, champion.incoming, clips)


def _cached(cache: Path) -> Outputs | None:
    parts = []
    for path in sorted(cache.glob("*.parquet")):
        try:
            parts.append(read_outputs(path))
        except UserError as error:  # it can be made again
            logger.warning("%s", error)
            path.unlink()
    return _joined(parts) if parts else None


def _joined(parts: list[Outputs]) -> Outputs:
    columns = ["clip_id", "source_id", "captured_at"]
    return Outputs(
        pd.concat([part.clips[columns] for part in parts], ignore_index=True),
        np.concatenate([part.embedding_ND for part in parts]),
        np.concatenate([part.probability_NK for part in parts]),
        parts[0].labels,
        parts[0].thresholds,
    )


def _arrivals(data: Path) -> dict[str, datetime]:
    path = data / _ARRIVALS
    if not path.exists():
        return {}
    try:
        known = pd.read_parquet(path)
    except (pa.ArrowInvalid, OSError):
        raise UserError(f"{path}: this file is damaged; remove it, and what it dates arrives anew") from None
    return dict(zip(known["clip_id"], known["arrived_at"], strict=True))


def _note_arrivals(data: Path, now: datetime) -> None:
    known = _arrivals(data)
    clip_ids = read_manifest(data / MANIFEST.name)["clip_id"]
    if set(clip_ids) <= set(known):
        return
    arrivals = {clip_id: known.get(clip_id, now) for clip_id in clip_ids}
    table = pd.DataFrame({"clip_id": list(arrivals), "arrived_at": pd.to_datetime(list(arrivals.values()), utc=True)})
    with replacing(data / _ARRIVALS) as temporary:
        table.to_parquet(temporary)
