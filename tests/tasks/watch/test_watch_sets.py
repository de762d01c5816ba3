"""The watch of a champion that gives a clip any number of labels."""

import csv
from collections import Counter
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from models.clips.label_sets import NOTHING, labels_in
from models.clips.manifest import read_manifest, write_manifest
from tasks.params.data import IngestParams
from tasks.watch.champion import champion_of, reference_of
from tasks.watch.incoming import came_in, seen_by, take_in
from tasks.watch.page import render
from tasks.watch.place import incoming_folder
from tasks.watch.watch import watch
from tests.support.films import write_film
from tests.support.rounds import LABELS
from tests.support.watched import FIRST_DAY, NAME, RECIPE, Clips, cameras, comes_in, watch_params, write_clips

NOW = FIRST_DAY + timedelta(days=10)
STRANGE = Clips(cameras(40, 60), days=(8,), strange=True)
USUAL = Clips(cameras(40, 60), days=(8,))

pytestmark = pytest.mark.usefixtures("watched_sets")


def said_by(champion):
    seen = seen_by(champion, came_in(champion, NOW))
    return dict(zip(seen.clips["clip_id"], seen.said(), strict=True))


def harm_of(found, how):
    return next(harm for harm in found.findings.overall.harm if harm.how == how)


def test_its_reference_says_sets_and_how_probable_they_are():
    champion = champion_of(NAME)
    reference = reference_of(champion)
    assert champion.multi_label
    assert reference.thresholds == champion.thresholds
    assert set(reference.said()) >= {NOTHING, "left|right"}
    held_out = reference.part((reference.clips["split"] != "train").to_numpy())
    right = held_out.said() == held_out.clips["label"].to_numpy()
    assert 0.6 < right.mean() < 0.95
    assert reference.has_known_label().all()


def test_an_unchanged_world_raises_no_alarm_and_accuracy_is_estimated():
    comes_in(USUAL)
    found = watch(watch_params(), NOW)
    assert (found.action, found.decision.what) == ("nothing", "nothing to do")
    estimated = harm_of(found, "estimated")
    assert abs(estimated.drop.estimate) < 0.2
    assert estimated.drop.low < 0 < estimated.drop.high


def test_harmful_drift_with_labels_retrains():
    comes_in(STRANGE, wrong=True)
    found = watch(watch_params(), NOW)
    assert found.action == "retrain"
    assert "accuracy measured on 80 clips is 0.000" in found.decision.why
    assert found.findings.overall.labelled == found.findings.overall.teaching == 80
    moved = found.findings.moved[0]
    assert {*labels_in(moved.predicted), *labels_in(moved.label)} == set(LABELS)


def test_a_set_that_is_right_but_for_one_label_is_wrong():
    champion = comes_in(STRANGE, wrong=False)
    path = champion.incoming / "manifest.parquet"
    clips = read_manifest(path)
    clips["label"] = ["left" if text == NOTHING else text for text in clips["label"]]
    write_manifest(clips, path)
    said = Counter(said_by(champion).values())
    found = harm_of(watch(watch_params(), NOW), "measured")
    assert 0 < said[NOTHING] < 80
    assert found.after.estimate == pytest.approx(1 - said[NOTHING] / 80)


def test_a_set_with_a_label_that_the_champion_does_not_know_is_no_known_label():
    path = comes_in(USUAL, wrong=False).incoming / "manifest.parquet"
    clips = read_manifest(path)
    clips.loc[:9, "label"] = "left|up"
    write_manifest(clips, path)
    overall = watch(watch_params(), NOW).findings.overall
    assert overall.labelled == 70


def test_what_is_asked_can_be_filled_in_with_sets_and_is_measured(tmp_path):
    champion = comes_in(STRANGE)
    found = watch(watch_params(request_clips=40, request_at_random=40), NOW)
    assert found.action == "label"
    folder = Path(found.decision.evidence["request"])
    choices = ElementTree.fromstring((folder / "label_studio.xml").read_text()).find("Choices")
    assert (choices.get("choice"), choices.get("required")) == ("multiple", "false")
    with (folder / "labels.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    said = said_by(champion)
    assert {row["predicted"].removeprefix("'") for row in rows} == {said[row["clip_id"]] for row in rows}
    answers = pd.DataFrame({"clip_id": [row["clip_id"] for row in rows], "label": "left|right"})
    answers.to_csv(tmp_path / "person_labels.csv", index=False)
    later = watch(watch_params(), NOW + timedelta(days=1))
    measured = harm_of(later, "measured")
    assert measured.clips == 40
    drawn = [said[clip_id] for clip_id in answers["clip_id"]]
    assert measured.after.estimate == pytest.approx(drawn.count("left|right") / 40)


def test_the_page_says_what_accuracy_is_and_names_clips_of_nothing():
    comes_in(STRANGE, wrong=True)
    found = watch(watch_params(shown_clips=20), NOW)
    assert NOTHING in {moved.predicted for moved in found.findings.moved}
    page = render(found, watch_params())
    assert "Accuracy is the share of clips that are given exactly their labels." in page
    assert "none of the labels" in page


def test_what_the_service_logged_is_watched_too():
    champion = champion_of(NAME)
    clips = write_clips(champion.incoming, STRANGE, multi_label=True)
    seen = seen_by(champion, clips.assign(at=clips["captured_at"], timed=True))
    served = pd.DataFrame({
        "at": clips["captured_at"], "source_id": clips["source_id"], "sha256": clips["clip_id"],
        "version": champion.version, "probabilities": list(seen.probability_NK), "embedding": list(seen.embedding_ND),
        "brightness": 60.0, "contrast": 10.0, "sharpness": 1.0, "motion": 1.0, "fps": 10.0, "width": 40, "height": 40,
    })  # fmt: skip
    comes_in(Clips(cameras(60, 61), days=(8,)))
    found = watch(watch_params(), NOW, served=served)
    assert found.findings.overall.sources == 21
    assert found.findings.alarm is not None


def test_sets_come_in_with_a_table(tmp_path):
    champion, source = champion_of(NAME), tmp_path / "source"
    for number in range(3):
        write_film(source / f"{number}.mp4", seed=number)
    table = {"path": ["0.mp4", "1.mp4", "2.mp4"], "source_id": "cam", "label": ["right;left", "-", None]}
    pd.DataFrame(table).to_csv(source / "clips.csv", index=False)
    assert take_in(champion, source, IngestParams(label_separator=";"), has_labels=False) == []
    clips = came_in(champion, NOW).sort_values("uri")
    assert clips["label"].fillna("").tolist() == ["left|right", NOTHING, ""]


def test_video_that_came_in_for_models_of_one_class_lies_apart():
    champion = champion_of(NAME)
    write_clips(incoming_folder(RECIPE), USUAL)
    comes_in(Clips(cameras(60, 66), days=(8,)))
    assert champion.incoming != incoming_folder(RECIPE)
    found = watch(watch_params(), NOW)
    assert found.findings.overall.clips == 24
