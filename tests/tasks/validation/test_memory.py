"""What passed before is not checked again, and nobody can tell from the result."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.clips.shards import StoredClip, verify_shard, write_shard
from models.errors import UserError
from tasks.params.data import SplitParams, ValidateParams
from tasks.params.whole import BaseParams
from tasks.validate import validate
from tasks.validation import facts
from tasks.validation.memory import Memory

LIMITS = ValidateParams(min_clips_per_class=2, min_sources_per_class=3)
CLIPS_PER_SHARD = 4


@pytest.fixture(autouse=True)
def _untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.validate.tracked", lambda *_: contextlib.nullcontext(_Tracker()))


class _Tracker:
    def metrics(self, values: object) -> None: ...

    def artifact(self, path: Path, folder: str) -> None: ...


def add(data: Path, cameras: range) -> None:
    """Add a shard of clips of each camera."""
    (data / "shards").mkdir(parents=True, exist_ok=True)
    rows = []
    for camera in cameras:
        clip_ids = [f"cam{camera}-{number}" for number in range(CLIPS_PER_SHARD)]
        places = write_shard(data / "shards", [StoredClip(name, 8, 8, [0.0], [b"jpeg"]) for name in clip_ids])
        rows += [
            {
                "clip_id": name, "source_id": f"cam{camera}", "uri": f"{name}.mp4", "sha256": name, "shard": shard,
                "row": row, "label": ("jump", "walk")[row % 2], "split": ("train", "val", "test")[camera % 3],
                "start_s": 0.0, "end_s": 1.0, "captured_at": None, "codec": "h264", "width": 320, "height": 240,
                "fps": 25.0, "frames": 25, "rotation": 0, "brightness": 100.0, "contrast": 10.0, "sharpness": 1.0,
                "motion": 1.0,
            }
            for name, (shard, row) in zip(clip_ids, places, strict=True)
        ]  # fmt: skip
    new = pd.DataFrame(rows)
    new["captured_at"] = pd.to_datetime(new["captured_at"], utc=True)
    path = data / "manifest.parquet"
    write_manifest(pd.concat([read_manifest(path), new], ignore_index=True) if path.exists() else new, path)


def result(data: Path, params: ValidateParams) -> dict[str, bytes]:
    """Everything that a validation leaves."""
    out = data.parent / "results"
    with contextlib.suppress(UserError):
        validate(BaseParams(name="demo"), params, SplitParams(), data=data,
                 summary=out / "summary.json", data_docs=out / "docs")  # fmt: skip
    return {path.name: path.read_bytes() for path in [out / "summary.json", *(out / "docs").iterdir()]}


CHANGES: list[Callable[[Path, pd.DataFrame, int], pd.DataFrame]] = [
    lambda data, clips, at: clips.assign(motion=clips["motion"].mask(clips.index == at, 0.0)),
    lambda data, clips, at: clips.assign(split=clips["split"].mask(clips.index == at)),
    lambda data, clips, at: clips.assign(row=clips["row"].mask(clips.index == at, 3)),
    lambda data, clips, at: clips.drop(index=at),
    lambda data, clips, at: clips.assign(damaged=(data / "shards" / clips["shard"][at]).write_bytes(b"damaged")),
]


@pytest.mark.parametrize("seed", range(3))
def test_the_result_is_that_of_checking_everything(tmp_path: Path, seed: int) -> None:
    data, rng = tmp_path / "data", np.random.default_rng(seed)
    add(data, range(6))
    result(data, LIMITS)
    add(data, range(6, 8))
    clips = read_manifest(data / "manifest.parquet")
    for change in rng.choice(len(CHANGES), 2, replace=False):
        clips = CHANGES[change](data, clips, int(rng.choice(clips.index)))
    write_manifest(clips, data / "manifest.parquet")
    params = LIMITS.model_copy(update={"fps": (4.0, float(rng.choice([20.0, 240.0])))})
    assert result(data, params) == result(data, params.model_copy(update={"incremental": False}))


def test_what_was_added_is_read_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, read = tmp_path / "data", []
    monkeypatch.setattr(facts, "verify_shard", lambda path: read.append(path.name) or verify_shard(path))
    add(data, range(6))
    assert b'"success": true' in result(data, LIMITS)["summary.json"]
    before = {path.name for path in (data / "shards").iterdir()}
    assert set(read) == before
    read.clear()
    add(data, range(6, 7))
    result(data, LIMITS)
    assert read == [path.name for path in (data / "shards").iterdir() if path.name not in before]


def test_other_rules_another_file_and_a_damaged_memory_are_not_remembered(tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "memory"
    add(data, range(3))
    manifest = read_manifest(data / "manifest.parquet")

    def passed(params: ValidateParams = LIMITS) -> int:
        return int(Memory(folder, params, manifest, data / "shards").passed_N.sum())

    Memory(folder, LIMITS, manifest, data / "shards").keep(np.array([0]))
    assert passed() == 2 * CLIPS_PER_SHARD
    assert passed(LIMITS.model_copy(update={"fps": (1.0, 2.0)})) == 0
    shard = data / "shards" / manifest["shard"].iloc[-1]
    shard.write_bytes(shard.read_bytes() + b" ")
    assert passed() == CLIPS_PER_SHARD
    next(folder.iterdir()).write_text("[")
    assert passed() == 0
