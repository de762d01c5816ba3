import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from models.clips.shards import ClipStore
from models.errors import UserError
from tasks.dataset import store_clips
from tasks.params.data import IngestParams, SplitParams
from tasks.watch.adopt import adopt, named_in
from tasks.watch.place import incoming_folder
from tests.support.watched import RECIPE, Clips, cameras, write_clips

INGEST = IngestParams(**vars(RECIPE), clips_per_shard=3)


@pytest.fixture
def data(tmp_path):
    """A dataset of two classes, and clips of three new cameras that came in."""
    splits = {"train": cameras(0, 2), "val": cameras(2, 4), "test": cameras(4, 6)}
    write_clips(
        tmp_path / "data",
        *(Clips([source], split=split, label=label, days=(day,))
          for split, sources in splits.items() for source in sources for day, label in enumerate(("left", "right"))),
    )  # fmt: skip
    store_clips(read_manifest(tmp_path / "data" / "manifest.parquet"), tmp_path / "data", SplitParams(), 0)
    write_clips(incoming_folder(RECIPE), Clips(cameras(6, 9)))
    return tmp_path / "data"


def label(data, *clip_ids):
    table = pd.DataFrame({"clip_id": clip_ids, "label": "left"})
    table.to_csv(data.parent / "person_labels.csv", index=False)


def take(data, **options):
    return adopt(data, INGEST, SplitParams(), seed=0, **options)


def test_labelled_clips_join_once_with_their_frames_and_a_split(data):
    label(data, "cam06-0-0", "cam07-0-1")
    before = read_manifest(data / "manifest.parquet")
    assert take(data) == 2
    assert take(data) == 0
    after = read_manifest(data / "manifest.parquet").set_index("clip_id")
    new = after.loc[["cam06-0-0", "cam07-0-1"]]
    assert list(new["label"]) == ["left", "left"]
    assert list(new["label_origin"]) == ["person", "person"]
    assert new["split"].notna().all()
    came_in = read_manifest(incoming_folder(RECIPE) / "manifest.parquet").set_index("clip_id").loc["cam06-0-0"]
    (own, other) = (
        [bytes(frame) for frame in ClipStore(place / "shards").frames(clip["shard"], clip["row"])]
        for place, clip in ((data, after.loc["cam06-0-0"]), (incoming_folder(RECIPE), came_in))
    )
    assert own == other
    pd.testing.assert_frame_equal(after.loc[before["clip_id"], ["split"]].reset_index(), before[["clip_id", "split"]])


def test_clips_that_are_asked_about_join_without_a_label(data):
    assert named_in("clip_id,label\ncam08-0-3,\n", INGEST) == {"cam08-0-3"}
    assert take(data, wanted={"cam08-0-3"}) == 1
    clip = read_manifest(data / "manifest.parquet").set_index("clip_id").loc["cam08-0-3"]
    assert pd.isna(clip["label"])
    assert pd.isna(clip["split"])


def test_clips_of_several_labels_join_with_their_sets(data):
    ingest = INGEST.model_copy(update={"multi_label": True})
    label(data, "cam06-0-0")
    write_clips(incoming_folder(RECIPE, multi_label=True), Clips(cameras(6, 9)), multi_label=True)
    with pytest.raises(UserError, match=r"made with ingest\.multi_label: false"):
        adopt(data, ingest, SplitParams(), seed=0)
    clips = read_manifest(data / "manifest.parquet").assign(labels=None)
    store_clips(clips, data, SplitParams(), 0)
    table = pd.DataFrame({"clip_id": ["cam06-0-0", "cam07-0-1"], "label": ["left|right", "'-"]})
    table.to_csv(data.parent / "person_labels.csv", index=False)
    assert named_in("cam08-0-3", ingest) == {"cam08-0-3"}
    assert adopt(data, ingest, SplitParams(), seed=0) == 2
    new = read_manifest(data / "manifest.parquet").set_index("clip_id").loc[["cam06-0-0", "cam07-0-1"]]
    assert new["label"].tolist() == ["left|right", "-"]
    assert [list(labels) for labels in new["labels"]] == [["left", "right"], []]
    assert new["split"].notna().all()


def test_what_is_stored_otherwise_stays_where_it_is(data):
    label(data, "cam06-0-0")
    assert adopt(data, IngestParams(short_side=64), SplitParams(), seed=0) == 0
