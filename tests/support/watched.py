"""A champion to watch and video that comes in, made from arrays in a moment: a square that moves before cameras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
import yaml

from models.build import VideoModel, build_model
from models.clips.label_sets import texts_of
from models.clips.manifest import SCHEMA, read_manifest, write_manifest
from models.clips.shards import StoredClip, write_shard
from models.saved import load_model, save_model
from tasks.decisions import record
from tasks.params.watch import WatchParams
from tasks.params.whole import Params
from tasks.reference import reference
from tasks.registry.client import registry
from tasks.registry.names import CHAMPION, CHECKSUMS, KEY, MODEL_FOLDER, PREPROCESSING, REFERENCE
from tasks.registry.preprocessing import Preprocessing
from tasks.registry.trust import registration_key, write_checksums
from tasks.video.clips import Recipe
from tasks.video.shelf import storage_key
from tasks.watch.champion import Champion, champion_of
from tasks.watch.outputs import outputs_of
from tests.support.rounds import LABELS, MODEL, params_of

NAME = "actions"
RECIPE = Recipe(short_side=40, max_fps=30.0, jpeg_quality=90, min_duration_s=0.2, max_duration_s=60.0)
TRAINED_ON = "cam99"
"""A camera whose clips of day 8 the champion was made with, though its reference does not show them."""
FIRST_DAY = datetime(2026, 1, 1, 12, tzinfo=UTC)
_NUM_FRAMES, _SIDE, _SQUARE = 8, 40, 12


@dataclass(frozen=True)
class Clips:
    """Clips to make: so many a day of each source.

    Attributes:
        sources: Their names.
        days: Days after the first.
        per_day: Clips of a source's day.
        split: Of all of them.
        strange: Whether the cameras show negatives.
        label: Of all of them; None for none.
        timed: Whether they say when they were recorded.
    """

    sources: Sequence[str]
    days: Sequence[int] = (0,)
    per_day: int = 4
    split: str | None = None
    strange: bool = False
    label: str | None = None
    timed: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


def cameras(first: int, last: int) -> list[str]:
    return [f"cam{number:02}" for number in range(first, last)]


def write_clips(data: Path, *kinds: Clips, multi_label: bool = False) -> pd.DataFrame:
    """Write a dataset's folder anew, with the clips of all ``kinds``, which may be ones of several labels."""
    rows, stored = [], []
    for kind in kinds:
        for source in kind.sources:
            for day in kind.days:
                for number in range(kind.per_day):
                    clip_id = f"{source}-{day}-{number}{'-strange' if kind.strange else ''}"
                    seed = [int(source[3:]), day, number]
                    stored.append(_stored(clip_id, seed, kind.strange))
                    rows.append({
                        "clip_id": clip_id, "source_id": source, "label": kind.label, "split": kind.split,
                        "captured_at": FIRST_DAY + timedelta(days=day) if kind.timed else None,
                        "brightness": (170.0 if kind.strange else 60.0) + seed[0] % 7, **kind.facts,
                    })  # fmt: skip
    (data / "shards").mkdir(parents=True, exist_ok=True)
    places = write_shard(data / "shards", stored, storage_key(RECIPE))
    facts = {
        "label_origin": None, "uri": "made", "sha256": "0", "start_s": 0.0, "end_s": 0.8, "codec": "h264",
        "width": _SIDE, "height": _SIDE, "fps": 10.0, "frames": _NUM_FRAMES, "rotation": 0, "contrast": 10.0,
        "sharpness": 1.0, "motion": 1.0,
    }  # fmt: skip
    manifest = pd.DataFrame(
        [{**facts, **row, "shard": shard, "row": at} for row, (shard, at) in zip(rows, places, strict=True)]
    )
    manifest["captured_at"] = pd.to_datetime(manifest["captured_at"], utc=True)
    manifest = manifest[SCHEMA.names].assign(**({"labels": None} if multi_label else {}))
    write_manifest(manifest, data / "manifest.parquet")
    return read_manifest(data / "manifest.parquet")


def add_champion(
    root: Path,
    *,
    seed: int = 0,
    with_reference: bool = True,
    reference_of_seed: int | None = None,
    multi_label: bool = False,
    share_wrong: float = 0.0,
) -> int:
    """Register a version that is right about every clip of its reference, and make it champion.

    Except for ``share_wrong`` of them, those of which it is least sure. With ``multi_label`` it names sets of labels.
    """
    data, folder = root / "data", root / "version" / MODEL_FOLDER
    kinds = Clips(cameras(0, 12), split="train"), Clips(cameras(12, 36), split="test")
    write_clips(data, *kinds, multi_label=multi_label)
    folder.mkdir(parents=True)
    model = build_model(MODEL, len(LABELS), seed=seed)
    if multi_label:
        _ask_each_label(model, data)
    save_model(folder / "saved", model, MODEL, LABELS, clip_ids=[f"{TRAINED_ON}-8-{number}" for number in range(4)])
    for path in (folder / "saved").iterdir():
        path.rename(folder / path.name)
    (folder / "saved").rmdir()
    if reference_of_seed is not None:
        save_model(root / "other", build_model(MODEL, len(LABELS), seed=reference_of_seed), MODEL, LABELS)
    Preprocessing(RECIPE, 0.8).write(folder / PREPROCESSING)
    label_as_it_sees(data, folder, least_sure_wrong=share_wrong)
    if with_reference:
        model = folder if reference_of_seed is None else root / "other"
        reference(params_of(NAME).base, data=data, model=model, out=folder / REFERENCE)
    client = registry()
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    digest = write_checksums(root / "version")
    tags = {CHECKSUMS: digest, KEY: str(root)}
    version = client.create_model_version(NAME, str(root / "version"), tags=tags)
    record("register", NAME, "", "", {"checksums_sha256": digest}, key=registration_key(version))
    client.set_registered_model_alias(NAME, CHAMPION, version.version)
    return int(version.version)


def _ask_each_label(model: VideoModel, data: Path) -> None:
    """Make it a model of several labels a clip, each of which about half of the clips have."""
    model.multi_label = True
    probability_NK = outputs_of(model.eval(), LABELS, data, read_manifest(data / "manifest.parquet")).probability_NK
    model.thresholds = tuple(np.median(probability_NK, axis=0).round(6).tolist())


def label_as_it_sees(
    data: Path, model: Path, *, wrong: bool = False, share: float = 1.0, least_sure_wrong: float = 0.0
) -> None:
    """Give clips the labels that the model sees in them, or the other ones, as to a share of which it is least sure."""
    clips = read_manifest(data / "manifest.parquet")
    loaded, _ = load_model(model)
    seen = outputs_of(loaded, LABELS, data, clips)
    is_wrong_N = np.full(len(clips), wrong)
    is_wrong_N[seen.confidence().argsort()[: int(least_sure_wrong * len(clips))]] = True
    labels = np.array(texts_of(seen.given() ^ is_wrong_N[:, None], LABELS), dtype=object)
    clips["label"] = np.where(np.arange(len(clips)) < share * len(clips), labels, None)
    write_manifest(clips, data / "manifest.parquet")


def comes_in(*kinds: Clips, wrong: bool | None = None, share: float = 1.0) -> Champion:
    """Let clips have come in; with ``wrong`` labelled so that the champion is wrong, or right, about a ``share``."""
    champion = champion_of(NAME)
    data = champion.incoming
    write_clips(data, *kinds, multi_label=champion.multi_label)
    if wrong is not None:
        label_as_it_sees(data, champion.folder, wrong=wrong, share=share)
    return champion


def watch_params(**changes: Any) -> Params:
    """Few permutations and resamples, and no warm-up."""
    quick = {"permutations": 200, "bootstrap": 100, "warm_up_days": 0, "components": 4, "shown_clips": 3}
    return params_of(NAME).model_copy(update={"watch": WatchParams(**quick | changes)})


def write_params(path: Path, params: Params) -> None:
    """As params.yaml."""
    path.write_text(yaml.safe_dump(params.model_dump(mode="json", by_alias=True)))


def _stored(clip_id: str, seed: list[int], strange: bool) -> StoredClip:
    own, rng = np.random.default_rng(seed[0]), np.random.default_rng(seed)
    background = own.integers(0, 80, (_SIDE // 8, _SIDE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    top = int(rng.integers(0, _SIDE - _SQUARE))
    columns = np.linspace(0, _SIDE - _SQUARE, _NUM_FRAMES).astype(int)
    frames = []
    for column in columns if rng.random() < 0.5 else columns[::-1]:
        frame = background.copy()
        frame[top : top + _SQUARE, column : column + _SQUARE] = 200 + int(rng.integers(0, 50))
        frames.append(simplejpeg.encode_jpeg(255 - frame if strange else frame, quality=90))
    return StoredClip(clip_id, _SIDE, _SIDE, [0.1 * t for t in range(_NUM_FRAMES)], frames, "{}")
