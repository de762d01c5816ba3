import json

import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from tasks import layout
from tasks.gate.worlds import Past, held_out
from tasks.params.data import SplitParams
from tasks.params.watch import WatchParams
from tests.support.dataset import write_dataset
from tests.support.registries import own_home

SPLIT, WATCH = SplitParams(), WatchParams(groups={"cam[45]": "yard"})
NOTHING = pd.DataFrame({name: [] for name in ("clip_id", "source_id", "split")}, dtype=object)


@pytest.fixture
def place(tmp_path):
    """A workspace whose test is cam3 and cam4, and a home."""
    write_dataset(tmp_path / layout.DATA)
    manifest = read_manifest(tmp_path / layout.MANIFEST)
    manifest.loc[manifest["source_id"] == "cam3", "split"] = "test"
    write_manifest(manifest, tmp_path / layout.MANIFEST)
    with own_home(tmp_path / "home"):
        yield tmp_path


def clip_ids(source: str) -> list[str]:
    return [f"{source}-{label}-{number}" for label in ("left", "right") for number in range(4)]


def recorded(source: str, split: str) -> pd.DataFrame:
    return pd.DataFrame({"clip_id": clip_ids(source), "source_id": source, "split": split})


def world_of(found) -> dict[str, str]:
    return dict(zip(found.clips["source_id"], found.clips["world"], strict=True))


def test_what_the_champions_dataset_had_is_old_and_the_rest_new(place):
    past = Past(frozenset(clip_ids("cam4")), recorded("cam4", "test"))
    found = held_out(place, past, SPLIT, WATCH)
    assert world_of(found) == {"cam3": "new", "cam4": "old"}
    assert dict(zip(found.clips["source_id"], found.clips["group"], strict=True)) == {"cam3": "cam3", "cam4": "yard"}
    assert (len(found.clips), found.left_out, found.leak(1)) == (16, 0, None)


def test_without_a_list_of_its_clips_all_are_old(place):
    assert set(held_out(place, Past(None, NOTHING), SPLIT, WATCH).clips["world"]) == {"old"}


def test_without_a_champion_all_labelled_test_clips_count(place):
    assert len(held_out(place, None, SPLIT, WATCH).clips) == 16


def request_of(place, *names):
    folder = place / "home" / "requests" / "request-1"
    folder.mkdir(parents=True)
    (folder / "chosen.json").write_text(json.dumps(names))


def test_new_clips_that_were_asked_for_because_of_doubt_do_not_count_and_old_ones_do(place):
    request_of(place, "cam3-left-0", "cam4-left-0")
    found = held_out(place, Past(frozenset(clip_ids("cam4")), NOTHING), SPLIT, WATCH)
    assert (found.chosen, found.left_out, len(found.clips)) == (1, 1, 15)
    assert "cam3-left-0" not in set(found.clips["clip_id"])
    assert "cam4-left-0" in set(found.clips["clip_id"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_clips_that_the_champion_was_not_kept_from_are_left_out_and_named(place, split):
    past = Past(frozenset(clip_ids("cam4") + clip_ids("cam3")), recorded("cam4", split))
    found = held_out(place, past, SPLIT, WATCH)
    assert world_of(found) == {"cam3": "old"}
    assert found.leaked == 8
    said = found.leak(7)
    assert said is not None
    assert said.startswith("8 test clips of cam4 were trained or validated on, as the reference of champion 7")
    assert "section split or base.seed" in said
    assert "whether a model had pseudo-labelled them" in said


def test_by_source_a_source_that_was_trained_on_tests_none_of_its_clips(place):
    elsewhen = recorded("cam4", "train").assign(clip_id=[f"earlier-{number}" for number in range(8)])
    past = Past(frozenset(), elsewhen)
    assert held_out(place, past, SPLIT, WATCH).leaked == 8
    assert held_out(place, past, SplitParams(by="time"), WATCH).leaked == 0


def test_the_manifest_itself_is_checked(place):
    manifest = read_manifest(place / layout.MANIFEST)
    manifest.loc[manifest["clip_id"] == "cam4-left-0", "split"] = "train"
    write_manifest(manifest, place / layout.MANIFEST)
    found = held_out(place, Past(frozenset(), NOTHING), SPLIT, WATCH)
    assert (found.leaked, found.leaked_sources) == (7, ("cam4",))


def test_a_test_without_labels_is_a_sentence(place):
    manifest = read_manifest(place / layout.MANIFEST)
    manifest.loc[manifest["split"] == "test", "label"] = None
    write_manifest(manifest, place / layout.MANIFEST)
    with pytest.raises(UserError, match="no labelled clip is in test"):
        held_out(place, None, SPLIT, WATCH)
