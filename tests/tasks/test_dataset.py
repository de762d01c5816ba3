import json
from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import PERSON, PSEUDO, manifest_note
from models.errors import UserError
from tasks.dataset import alone_in, kept_splits, labelled, settled, store_clips
from tasks.params.data import SplitParams
from tests.support.questions import SEED, SPLIT, write_half_labelled

GIVEN = SplitParams(by="given")


@pytest.fixture
def clips(tmp_path: Path) -> pd.DataFrame:
    return write_half_labelled(tmp_path / "data").astype({"label": object, "label_origin": object, "split": object})


def test_one_at_a_time(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(UserError, match="wait for it to end"), alone_in(tmp_path):
        pass


def test_unlabelled_clips_hide_no_split_of_their_source(clips: pd.DataFrame, tmp_path: Path) -> None:
    clips["source_id"] = clips["source_id"].str.replace("new", "cam")
    store_clips(clips, tmp_path / "data", SPLIT, SEED)
    kept = kept_splits(clips, tmp_path / "data", SPLIT, SEED)
    assert kept == {"cam0": "train", "cam1": "train", "cam2": "train", "cam3": "val", "cam4": "test"}
    found = settled(labelled(clips, clips, {}), kept, SPLIT, SEED).clips
    assert found.loc[found["label"].isna(), "split"].isna().all()


@pytest.mark.parametrize(("by", "unit"), [("source", "source_id"), ("time", "clip_id")])
def test_what_had_a_pseudo_label_stays_in_train_until_the_rules_change(clips, tmp_path: Path, by, unit) -> None:
    split = SplitParams(by=by)
    new = clips.index[clips["source_id"] == "new0"][0]
    clips.loc[new, ["label", "label_origin", "split"]] = ["left", PSEUDO, "train"]
    store_clips(clips, tmp_path / "data", split, SEED)
    assert kept_splits(clips, tmp_path / "data", split, SEED)[clips[unit][new]] == "train"
    clips.loc[new, ["label", "label_origin", "split"]] = None
    store_clips(clips, tmp_path / "data", split, SEED)
    assert kept_splits(clips, tmp_path / "data", split, SEED)[clips[unit][new]] == "train"
    assert kept_splits(clips, tmp_path / "data", split, SEED + 1) == {}


def test_a_manifest_without_pseudo_labels_is_the_bytes_that_it_was(clips: pd.DataFrame, tmp_path: Path) -> None:
    store_clips(clips, tmp_path / "data", SPLIT, SEED)
    note = json.loads(manifest_note(tmp_path / "data" / "manifest.parquet"))
    assert note == {**SPLIT.model_dump(), "seed": SEED}


def test_what_a_person_said_holds_and_no_source_takes_a_label_away(clips: pd.DataFrame) -> None:
    known = clips.copy()
    known.loc[0, ["label", "label_origin"]] = ["left", PERSON]
    known.loc[1, ["label", "label_origin"]] = ["left", PSEUDO]
    known.loc[2, ["label", "label_origin"]] = ["left", None]
    said = clips.assign(label_origin=None)
    said.loc[[0, 1], "label"] = "right"
    said.loc[2, "label"] = None
    found = labelled(said, known, {clips["clip_id"][3]: "right"})
    assert found.loc[[0, 1, 2, 3], "label"].tolist() == ["left", "right", "left", "right"]
    assert found.loc[[0, 1, 2, 3], "label_origin"].astype(object).where(lambda o: o.notna(), None).tolist() == [
        PERSON, None, None, PERSON,
    ]  # fmt: skip


def test_given_splits_leave_unlabelled_clips_alone_and_name_labelled_ones_without(clips: pd.DataFrame) -> None:
    found = settled(clips, {}, GIVEN, SEED).clips
    assert found["split"].isna().equals(clips["label"].isna())
    new = clips.index[clips["label"].isna()][0]
    clips.loc[new, ["label", "label_origin"]] = ["left", PERSON]
    with pytest.raises(UserError, match=f"{clips['clip_id'][new]}.mp4 \\(class left\\) has no split"):
        settled(clips, {}, GIVEN, SEED)


def test_a_class_of_a_source_does_not_wait(clips: pd.DataFrame) -> None:
    clips.loc[0, "label"] = "lonely"
    with pytest.raises(UserError, match="class 'lonely' has 1 source"):
        settled(clips, {}, SPLIT, SEED)
    clips.loc[0, "label_origin"] = PERSON
    found = settled(clips, {}, SPLIT, SEED)
    assert found.waiting == {"lonely": 1}
    assert found.clips.loc[0, ["label", "label_origin", "split"]].isna().all()
