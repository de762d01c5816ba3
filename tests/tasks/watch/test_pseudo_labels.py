"""Pseudo-labels on the whole way into a round's dataset: the step that brings its data in, with a champion to label."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from flows import steps
from models.clips.manifest import PERSON, PSEUDO, read_manifest
from tasks.dataset import kept_splits, settled, store_clips
from tasks.decisions import decisions
from tasks.params.data import IngestParams, SplitParams
from tasks.params.watch import PseudoParams
from tasks.watch.champion import champion_of
from tasks.watch.findings import OVERALL, Findings, Group
from tasks.watch.memory import memory_file, past_findings
from tasks.watch.place import incoming_folder
from tests.support.rounds import LABELS
from tests.support.watched import FIRST_DAY, NAME, RECIPE, Clips, cameras, watch_params, write_clips

ON = PseudoParams(enabled=True, precision=0.85, bootstrap=200)
"""On the 24 sources of its reference the champion is right about every clip, which shows .88 for certain and not .9."""

TESTED_ON, TRAINED_ON, NEW = "cam40", "cam42", cameras(50, 56)


@pytest.fixture
def data(watched, tmp_path, monkeypatch):
    """A dataset of two classes which people labelled after the champion was made, and clips that came in."""
    splits = {"train": cameras(42, 44), "val": cameras(44, 46), "test": cameras(40, 42)}
    kinds = [
        Clips([source], split=split, label=label, days=(day,))
        for split, sources in splits.items() for source in sources for day, label in enumerate(LABELS)
    ]  # fmt: skip
    write_clips(tmp_path / "round" / "data", *kinds)
    store_clips(read_manifest(tmp_path / "round" / "data" / "manifest.parquet"), tmp_path / "round" / "data", SPLIT, 0)
    write_clips(incoming_folder(RECIPE), Clips([TESTED_ON, TRAINED_ON, *NEW], days=(8,)))
    monkeypatch.setattr("tasks.watch.pseudo_labels.past_findings", lambda champion: (_found(alarm=None),))
    monkeypatch.setattr(steps.workspace, "add_data", lambda work: "0" * 12)
    monkeypatch.setattr(steps.workspace, "commit_data", lambda work, message: None)
    monkeypatch.setattr("tasks.ingest.ingest", lambda source, data, *_, **__: _summary(data))
    return tmp_path / "round" / "data"


SPLIT = SplitParams()


def _summary(data):
    from tasks.ingest import IngestSummary

    clips = read_manifest(data / "manifest.parquet")
    return IngestSummary(len(clips), 0, clips["source_id"].nunique(), 2, [], int(clips["label"].isna().sum()))


def bring_in(data, pseudo=ON):
    """The step of a round."""
    params = watch_params().model_copy(update={"ingest": IngestParams(**vars(RECIPE)), "pseudo": pseudo})
    work = SimpleNamespace(root=data.parent, source="made", params=params, name="round-1")
    return steps.ingest.fn(work).value


def manifest(data):
    return read_manifest(data / "manifest.parquet").set_index("clip_id")


def label(data, *clip_ids):
    table = pd.DataFrame({"clip_id": clip_ids, "label": LABELS[0]})
    table.to_csv(data.parent / "person_labels.csv", index=False)


def pseudo_of(data):
    clips = manifest(data)
    return clips[clips["label_origin"] == PSEUDO]


def test_the_champion_labels_what_nobody_has_and_only_to_train_on(data):
    before = manifest(data)
    label(data, "cam50-8-0")
    found = bring_in(data)
    pseudo = pseudo_of(data)
    assert set(pseudo["split"]) == {"train"}
    assert len(pseudo) > 0
    assert set(pseudo["source_id"]) <= {TRAINED_ON, *NEW}
    after = manifest(data)
    held_out = after[after["split"].isin(["val", "test"])]
    assert not (held_out["label_origin"] == PSEUDO).any()
    assert not set(held_out["source_id"]) & set(pseudo["source_id"])
    assert after.loc["cam50-8-0", "label_origin"] == PERSON
    pd.testing.assert_frame_equal(after.loc[before.index, ["label", "split"]], before[["label", "split"]])
    assert found.pseudo.startswith(f"{len(pseudo)} clips are labelled by the model, to train on: champion 1 is right")
    assert (found.clips, found.new_clips) == (len(after), len(after) - len(before))


def test_the_decision_log_has_how_many_and_how_sure(data):
    found = bring_in(data)
    (row,) = decisions(subject=NAME, kind="pseudo")
    assert found.pseudo == f"{row.what}: {row.why}"
    assert sorted(row.evidence["clips"]) == sorted(pseudo_of(data).index)
    assert (row.evidence["version"], row.evidence["clips"] != []) == (1, True)
    assert row.evidence["reference"]["precision"]["low"] >= 0.85
    assert row.evidence["reference"]["sources"] == 24


def test_off_as_it_is_by_default_nothing_is_labelled_and_what_was_is_taken_back(data):
    assert bring_in(data, PseudoParams()).pseudo == ""
    assert len(pseudo_of(data)) == 0
    bring_in(data)
    labelled = len(pseudo_of(data))
    assert bring_in(data, PseudoParams()).pseudo.startswith(f"the pseudo-labels of {labelled} clips are taken back")
    assert len(pseudo_of(data)) == 0


def test_the_same_labels_of_people_give_the_same_pseudo_labels_whatever_came_in(data):
    bring_in(data)
    before = manifest(data)
    write_clips(
        incoming_folder(RECIPE), Clips([TESTED_ON, TRAINED_ON, *NEW], days=(8,)), Clips(cameras(60, 63), days=(9,))
    )
    bring_in(data)
    pd.testing.assert_frame_equal(manifest(data), before)
    label(data, "cam60-9-0")
    bring_in(data)
    assert len(decisions(subject=NAME, kind="pseudo")) == 2


def test_a_round_takes_so_many_at_most(data):
    bring_in(data, ON.model_copy(update={"clips": 3}))
    assert len(pseudo_of(data)) == 3


def test_a_precision_that_the_reference_cannot_show_labels_nothing_and_says_so(data):
    bring_in(data)
    found = bring_in(data, ON.model_copy(update={"precision": 0.95}))
    assert (
        "no confidence of champion 1 is right 95.0% of the time for certain, on 96 clips of 24 sources" in found.pseudo
    )
    assert len(pseudo_of(data)) == 0


def test_a_champion_that_names_several_labels_labels_nothing(data, monkeypatch):
    champion = replace(champion_of(NAME), thresholds=(0.5, 0.5))
    monkeypatch.setattr("tasks.watch.pseudo_labels.champion_if_any", lambda name: champion)
    bring_in(data)
    assert pseudo_of(data).empty
    (row,) = decisions(None, NAME, "pseudo")
    assert "names any number of labels a clip" in row.why


def test_without_anything_that_people_labelled_and_the_champion_does_not_know_nothing_is_labelled(data, monkeypatch):
    from tasks.watch import pseudo_labels

    known = frozenset(manifest(data).index)
    real = pseudo_labels.champion_if_any
    monkeypatch.setattr(pseudo_labels, "champion_if_any", lambda name: _with_clips(real(name), known))
    assert bring_in(data).pseudo == ""
    assert len(pseudo_of(data)) == 0


def _with_clips(champion, clip_ids):
    from dataclasses import replace

    return replace(champion, clip_ids=clip_ids)


def _found(alarm):
    overall = Group(name=OVERALL, sources=9, clips=36, labelled=0, evidence=2.0, limit=200.0)
    return Findings(key="k", name=NAME, version=1, now=FIRST_DAY, alarm=alarm, overall=overall)


@pytest.mark.parametrize("past", [(_found("2026-01-09"),), (_found("2026-01-09"), _found(None))])
def test_after_an_alarm_of_this_champion_nothing_is_labelled(data, monkeypatch, past):
    monkeypatch.setattr("tasks.watch.pseudo_labels.past_findings", lambda champion: past)
    assert "has raised an alarm (2026-01-09)" in bring_in(data).pseudo
    assert len(pseudo_of(data)) == 0


@pytest.mark.parametrize("memory", [None, "{", "[]", '{"past": null}'])
def test_without_a_memory_of_the_watch_that_can_be_read_nothing_is_labelled(data, monkeypatch, memory):
    monkeypatch.setattr("tasks.watch.pseudo_labels.past_findings", past_findings)
    path = memory_file(champion_of(NAME))
    path.parent.mkdir(parents=True, exist_ok=True)
    if memory is not None:
        path.write_text(memory)
    assert "no watch of champion 1 has ended whose memory can be read" in bring_in(data).pseudo
    assert len(pseudo_of(data)) == 0


def test_people_who_label_a_source_into_the_test_take_its_pseudo_labels_away(data):
    """With their labels its split is decided, and a pseudo-label is never tested on."""
    bring_in(data)
    clips = manifest(data).reset_index()
    source = clips.loc[clips["label_origin"] == PSEUDO, "source_id"].iloc[0]
    own = clips["source_id"] == source
    clips.loc[clips.index[own][0], ["label", "label_origin"]] = [LABELS[0], PERSON]
    kept = {**kept_splits(read_manifest(data / "manifest.parquet"), data, SPLIT, 0), source: "test"}
    after = settled(clips, kept, SPLIT, 0).clips
    assert not ((after["source_id"] == source) & (after["label_origin"] == PSEUDO)).any()
