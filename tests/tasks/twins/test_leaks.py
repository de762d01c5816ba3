import pandas as pd
import pytest

from models.clips.shards import StoredClip, write_shard
from tasks.params.data import NearDuplicateParams
from tasks.twins.kept import prints_of
from tasks.twins.leaks import contradicting, copies, leaking, with_copies
from tests.support.scenes import FPS, film, stored, times_s

PARAMS = NearDuplicateParams(enabled=True)


@pytest.fixture
def shards(tmp_path):
    (tmp_path / "shards").mkdir()
    return tmp_path / "shards"


def put(folder, films):
    """The clips' rows, in a shard of their own; each is named by camera, label and split."""
    clips = [StoredClip(name, 64, 64, times_s(len(frames)).tolist(), stored(frames)) for name, frames in films.items()]
    rows = []
    for name, (shard, row) in zip(films, write_shard(folder, clips), strict=True):
        source_id, label, split = name.split("/")
        rows.append({
            "clip_id": name, "uri": f"{name}.mp4", "source_id": source_id, "shard": shard, "row": row,
            "label": label or None, "split": split or None, "start_s": 0.0, "end_s": 2.0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def test_leaks_and_contradictions_are_told_apart(shards, tmp_path):
    clips = put(shards, {
        "a/walk/train": film(0, 0), "b/walk/test": film(0, 0)[FPS:], "c/run/train": film(0, 1),
        "d/walk/train": film(0, 1)[:-6], "e//": film(0, 2), "f/run/val": film(0, 2), "g/run/val": film(0, 3),
    })  # fmt: skip
    pairs = copies(clips, shards, tmp_path, PARAMS)
    named = {frozenset(pair) for pair in pairs[["first_source_id", "second_source_id"]].to_numpy().tolist()}
    assert named == {frozenset("ab"), frozenset("cd"), frozenset("ef")}
    assert set(leaking(pairs)["first_source_id"]) == {"a"}
    assert set(contradicting(pairs)["first_source_id"]) == {"c"}
    facts = with_copies(clips, shards, tmp_path, PARAMS).set_index("source_id")["copied_by"].dropna()
    assert facts.to_dict() == {"a": "b/walk/test.mp4 in test", "b": "a/walk/train.mp4 in train"}


def test_only_new_shards_are_worked_out(shards, tmp_path):
    first = put(shards, {f"a/walk/{motion}": film(0, motion) for motion in range(3)})
    before = prints_of(first, shards, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("prints/*/*.npz")}
    assert len(kept) == 1
    both = pd.concat([put(shards, {"b/walk/train": film(1, 7)}), first])
    after = prints_of(both, shards, tmp_path)
    assert after.motion_W[-len(before.motion_W) :].tolist() == before.motion_W.tolist()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(tmp_path.glob("prints/*/*.npz"))) == 2


@pytest.mark.parametrize("harm", ["damaged", "missing", "half kept"])
def test_damage_is_not_kept(shards, tmp_path, harm):
    clips = put(shards, {"a/walk/train": film(0, 0)})
    shard = shards / clips["shard"][0]
    whole = shard.read_bytes()
    if harm == "damaged":
        shard.write_bytes(whole[:500] + bytes(8) + whole[508:])
    elif harm == "missing":
        shard.unlink()
    else:
        prints_of(clips, shards, tmp_path)
        kept = next(tmp_path.glob("prints/*/*.npz"))
        kept.write_bytes(kept.read_bytes()[:-40])
    if harm != "half kept":
        assert prints_of(clips, shards, tmp_path).num_words.tolist() == [0]
        shard.write_bytes(whole)
    assert prints_of(clips, shards, tmp_path).num_words.tolist() == [12]
