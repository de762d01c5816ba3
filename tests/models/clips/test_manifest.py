from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import PERSON, PSEUDO, SCHEMA, labels_of, manifest_note, read_manifest, write_manifest
from models.errors import UserError


def manifest(ids: list[str], labels: list[str | None] | None = None) -> pd.DataFrame:
    text = dict.fromkeys(("source_id", "uri", "sha256", "shard", "codec"), "x")
    numbers = dict.fromkeys(("row", "width", "height", "frames", "rotation", "start_s", "end_s", "fps"), 1)
    light = dict.fromkeys(("brightness", "contrast", "sharpness", "motion"), 0.5)
    clips = pd.DataFrame([{"clip_id": clip_id, **text, **numbers, **light} for clip_id in ids])
    clips["label"] = labels or ["a"] * len(ids)
    clips["captured_at"] = pd.Timestamp("2026-01-02T03:04:05.678901Z")
    clips["split"] = "train"
    return clips


def test_what_was_written_is_read_in_order_of_identity(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    write_manifest(manifest(["b", "a"], ["walk", None]), path)
    clips = read_manifest(path)
    assert clips["clip_id"].tolist() == ["a", "b"]
    assert list(clips.columns) == SCHEMA.names
    assert clips["label"].isna().tolist() == [True, False]
    assert clips["captured_at"].iloc[0] == pd.Timestamp("2026-01-02T03:04:05.678901Z")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    write_manifest(manifest(["a", "b", "c"]), tmp_path / "first")
    write_manifest(manifest(["c", "a", "b"]), tmp_path / "second")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_note_travels_with_it(tmp_path: Path) -> None:
    write_manifest(manifest(["a"]), tmp_path / "plain")
    write_manifest(manifest(["a"]), tmp_path / "noted", note="by hand")
    assert (manifest_note(tmp_path / "plain"), manifest_note(tmp_path / "noted")) == ("", "by hand")
    assert read_manifest(tmp_path / "noted").equals(read_manifest(tmp_path / "plain"))


def test_a_manifest_of_an_earlier_version_says_nothing_of_where_labels_come_from(tmp_path: Path) -> None:
    old = manifest(["a", "b"])
    assert "label_origin" not in old
    old.to_parquet(tmp_path / "old")
    clips = read_manifest(tmp_path / "old")
    assert list(clips.columns) == SCHEMA.names
    assert clips["label_origin"].isna().all()
    write_manifest(clips, tmp_path / "new")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "new"), clips, check_dtype=False)


def test_where_labels_come_from_is_kept(tmp_path: Path) -> None:
    write_manifest(manifest(["a", "b", "c"]).assign(label_origin=[None, PERSON, PSEUDO]), tmp_path / "one")
    assert read_manifest(tmp_path / "one")["label_origin"].tolist()[1:] == [PERSON, PSEUDO]
    assert read_manifest(tmp_path / "one")["label_origin"].isna().tolist() == [True, False, False]


def test_labels_are_classes_in_order_of_their_names() -> None:
    assert labels_of(manifest(["a", "b", "c", "d"], ["walk", None, "jump", "walk"])) == ["jump", "walk"]


def test_what_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    with pytest.raises(UserError, match="there is no dataset here"):
        read_manifest(path)
    path.write_text("text")
    with pytest.raises(UserError, match="this is not a readable manifest"):
        read_manifest(path)
    manifest(["a"]).drop(columns="split").to_parquet(path)
    with pytest.raises(UserError, match="column split is missing"):
        read_manifest(path)
