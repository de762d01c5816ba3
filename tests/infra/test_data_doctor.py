import pandas as pd
import pytest

from infra.data_doctor import examine_data
from models.clips.manifest import write_manifest
from models.clips.shards import StoredClip, write_shard
from models.errors import UserError
from tasks.params.data import SplitParams, ValidateParams
from tests.support.scenes import FPS, film, stored, times_s

FACTS = {
    "sha256": "0", "start_s": 0.0, "end_s": 2.0, "captured_at": None, "codec": "h264", "width": 64, "height": 64,
    "fps": 12.0, "frames": 24, "rotation": 0, "brightness": 100.0, "contrast": 10.0, "sharpness": 1.0, "motion": 1.0,
}  # fmt: skip


def write(data, clips, **columns):
    """A dataset of films by name; a name is source, label and split."""
    (data / "shards").mkdir(parents=True)
    films = [StoredClip(name, 64, 64, times_s(len(frames)).tolist(), stored(frames)) for name, frames in clips.items()]
    rows = []
    for name, (shard, row) in zip(clips, write_shard(data / "shards", films), strict=True):
        source_id, label, split = name.split("/")
        known = {"clip_id": name, "uri": f"{name}.mp4", "source_id": source_id, "label": label, "split": split}
        rows.append({**FACTS, **known, "sha256": name, "shard": shard, "row": row})
    manifest = pd.DataFrame(rows).assign(**columns)
    manifest["captured_at"] = pd.to_datetime(manifest["captured_at"], utc=True)
    write_manifest(manifest, data / "manifest.parquet")
    return data


def examined(data):
    return {finding.subject: finding for finding in examine_data(ValidateParams(), SplitParams(), data=data)}


def test_pairs_are_named_with_where_one_begins_in_the_other(tmp_path):
    clips = {"a/walk/train": film(0, 0), "b/walk/test": film(0, 0)[FPS:], "c/walk/val": film(0, 1)}
    found = examined(write(tmp_path / "data", {**clips, "c/run/val": film(0, 1)[:-1]}))
    leak, contradiction = found["copies in two splits"], found["copies with two labels"]
    assert not leak.ok
    assert "a/walk/train.mp4 (train) and b/walk/test.mp4 (test): " in leak.says
    assert "the second begins 1.0 s into the first" in leak.says
    assert "source_id" in leak.says
    assert not contradiction.ok
    assert "c/run/val.mp4 (run) and c/walk/val.mp4 (walk)" in contradiction.says


def test_clips_of_one_file_are_told_by_their_stretches(tmp_path):
    clips = {"a/walk/train": film(0, 0), "b/run/test": film(0, 0)[1:]}
    data = write(tmp_path / "data", clips, uri="day.mp4", sha256="0", start_s=[0.0, 1.0], end_s=[2.0, 3.16])
    found = examined(data)
    assert "day.mp4 from 0 to 2 s (train) overlaps day.mp4 from 1 to 3.16 s (test)" in found["equal stretches"].says
    assert "day.mp4 from 0 to 2 s (walk) and day.mp4 from 1 to 3.16 s (run)" in found["copies with two labels"].says


def test_a_sound_dataset_and_what_cannot_be_compared(tmp_path):
    clips = {"a/walk/train": film(0, 0), "b/walk/test": film(0, 1), "c/run/val": film(0, 1)[:1]}
    found = examined(write(tmp_path / "data", clips))
    assert all(finding.ok for finding in found.values())
    assert found["not compared"].says.startswith("1 clips")
    assert found["quarantine"].says == "no file was refused"


def test_damage_is_named_and_does_not_keep_the_rest_from_being_looked_at(tmp_path):
    data = write(tmp_path / "data", {"a/walk/train": film(0, 0), "b/walk/test": film(0, 1)})
    next((data / "shards").iterdir()).unlink()
    found = examined(data)
    assert "is missing (2 clips)" in found["frames"].says
    assert found["copies in two splits"].ok


def test_without_a_dataset(tmp_path):
    with pytest.raises(UserError, match="there is no dataset here"):
        examined(tmp_path)
