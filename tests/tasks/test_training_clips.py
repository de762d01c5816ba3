from pathlib import Path

import pandas as pd
import pytest

from models.champion import Champion, load_champion
from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.spec import ContinualParams, RehearsalParams
from tasks.training_clips import labelled_clip_ids, training_clips
from tests.support.champions import MODEL, write_champion
from tests.support.dataset import write_dataset

LABELS = ("left", "right")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four clips of each label from each of five sources: three for training, one for validation."""
    return write_dataset(tmp_path / "data", LABELS)


def champion(data: Path, labels: tuple[str, ...] = LABELS, *, knows: str = "[0-2]$") -> Champion:
    """One that knows the clips whose id matches ``knows``; the last of four is new to it."""
    ids = read_manifest(data / "manifest.parquet")["clip_id"]
    return load_champion(write_champion(data.parent / "champion", labels, ids[ids.str.contains(knows)]), MODEL)


def continual(size: int = 512, **changes: object) -> ContinualParams:
    return ContinualParams(rehearsal=RehearsalParams(clips=size)).model_copy(update=changes)


def edit(data: Path, change: object) -> None:
    manifest = read_manifest(data / "manifest.parquet")
    write_manifest(change(manifest), data / "manifest.parquet")  # type: ignore[operator]


def test_a_cold_start_takes_everything(data: Path) -> None:
    found = training_clips(data, continual(0), None, seed=0)
    assert (len(found.train), len(found.val), len(found.memory)) == (24, 8, 0)
    assert found.labels == ["left", "right"]


@pytest.mark.parametrize("size", [0, 6, 12, 512])
def test_new_clips_and_a_balanced_memory(data: Path, size: int) -> None:
    found = training_clips(data, continual(size), champion(data), seed=0)
    is_new = found.train["clip_id"].str.endswith("3")
    assert is_new.sum() == 6
    assert len(found.memory) == (~is_new).sum() == min(size, 18)
    per_group = found.memory.groupby(["label", "source_id"]).size()
    assert per_group.nunique() <= 1


def test_validation_has_old_clips_in_the_same_share(data: Path) -> None:
    found = training_clips(data, continual(6), champion(data), seed=0)
    is_new = found.val["clip_id"].str.endswith("3")
    assert (is_new.sum(), (~is_new).sum()) == (2, 2)
    assert sorted(found.val.loc[~is_new, "label"]) == ["left", "right"]


def test_the_choice_is_the_same_every_time(data: Path) -> None:
    first, again = (training_clips(data, continual(6), champion(data), seed=0) for _ in range(2))
    assert first.train.equals(again.train)
    assert first.val.equals(again.val)
    other = training_clips(data, continual(6), champion(data), seed=1)
    assert not first.train["clip_id"].equals(other.train["clip_id"])


def test_where_nothing_is_new_everything_is_used(data: Path) -> None:
    found = training_clips(data, continual(2), champion(data, knows="."), seed=0)
    assert (len(found.train), len(found.val), len(found.memory)) == (24, 8, 24)


@pytest.mark.parametrize(("vanished", "labels"), [("keep", ["left", "right", "up"]), ("drop", ["left", "right"])])
def test_a_class_without_clips_is_kept_or_dropped(data: Path, vanished: str, labels: list[str]) -> None:
    old = champion(data, ("up", "right"))
    assert training_clips(data, continual(vanished=vanished), old, seed=0).labels == labels


def test_only_labelled_clips_count(data: Path) -> None:
    edit(data, lambda clips: clips.assign(label=clips["label"].mask(clips["source_id"] == "cam4", None)))
    assert len(labelled_clip_ids(data)) == 32
    assert not any(clip_id.startswith("cam4") for clip_id in labelled_clip_ids(data))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_clips_is_named(data: Path, split: str) -> None:
    edit(data, lambda clips: clips.assign(split=clips["split"].replace(split, "test")))
    with pytest.raises(UserError, match=f"split: no labelled clip is in {split}"):
        training_clips(data, continual(), None, seed=0)


def test_one_label_is_too_few(data: Path) -> None:
    edit(data, lambda clips: pd.DataFrame(clips[clips["label"] == "left"]))
    with pytest.raises(UserError, match="1 label is too few"):
        training_clips(data, continual(), None, seed=0)
