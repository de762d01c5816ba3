"""Requests about clips that may have several labels, and what comes back."""

import csv
import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from models.clips.label_sets import NOTHING, labels_in
from models.clips.manifest import read_manifest
from models.errors import UserError
from tasks.labelling.outputs import Outputs
from tasks.labelling.receive import receive
from tasks.labelling.request import Request, request
from tasks.labelling.table import read_label_table
from tests.support.layouts import cvat_export
from tests.support.questions import SEED, SPLIT, outputs_of, with_sets, write_half_labelled

LABELS = ["left", "right"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_half_labelled(tmp_path / "data")
    with_sets(tmp_path / "data")
    return tmp_path / "data"


def sets_of(data: Path) -> Outputs:
    """What a model of several labels might make of all clips."""
    clips = read_manifest(data / "manifest.parquet")
    probability_NK = np.random.default_rng(0).random((len(clips), 2)).astype(np.float32)
    return replace(outputs_of(clips, LABELS), probability_NK=probability_NK, thresholds=(0.5, 0.4))


@pytest.fixture
def made(data: Path) -> Request:
    return request(sets_of(data), data, data.parent / "requests", budget=12)


def rows_of(made: Request) -> list[dict[str, str]]:
    text = (made.folder / "labels.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


def filled_in(made: Request, labels: list[str]) -> Path:
    rows = [row | {"label": label} for row, label in zip(rows_of(made), labels, strict=True)]
    with (made.folder / "labels.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return made.folder / "labels.csv"


def test_a_request_says_sets_and_how_probable_they_are(data: Path, made: Request) -> None:
    outputs = sets_of(data)
    said = dict(zip(outputs.clips["clip_id"], outputs.said(), strict=True))
    confidence = dict(zip(outputs.clips["clip_id"], outputs.confidence(), strict=True))
    rows = rows_of(made)
    assert {row["predicted"] for row in rows} >= {"'-", "left|right"}
    for row in rows:
        assert row["predicted"].removeprefix("'") == said[row["clip_id"]]
        assert row["confidence"] == f"{confidence[row['clip_id']]:.4f}"
    tasks = json.loads((made.folder / "label_studio.json").read_text(encoding="utf-8"))
    for task, row in zip(tasks, rows, strict=True):
        [prediction] = task["predictions"]
        chosen = [one["value"]["choices"] for one in prediction["result"]]
        assert sorted(chain(*chosen)) == list(labels_in(said[row["clip_id"]]))


def test_it_says_how_several_labels_and_none_are_written(made: Request) -> None:
    page = " ".join((made.folder / "contact_sheet.html").read_text(encoding="utf-8").split())
    assert "with <code>|</code> between them; <code>-</code> where it shows none of them" in page
    assert "<p>None of them <span" in page
    assert 'choice="multiple" showInline="true" required="false"' in (made.folder / "label_studio.xml").read_text()
    readme = (made.folder / "README.txt").read_text().splitlines()
    assert len(readme) == 4
    assert "with | between them (- where it shows none of them, ? where nobody can tell)" in readme[0]
    assert "tag any frames of each with its labels, or with - where it shows none" in readme[2]


def test_a_filled_in_table_comes_back(data: Path, made: Request) -> None:
    labels = ["left|right", "right | left", "left", "-", "'-", "?", *["right"] * 6]
    found = receive(filled_in(made, labels), data, SPLIT, seed=SEED)
    assert found.taken == {"-": 2, "left": 1, "left|right": 2, "right": 6}
    assert found.skipped == 1
    clips = read_manifest(data / "manifest.parquet").set_index("clip_id")
    first, *_, last = rows_of(made)
    assert list(clips.loc[first["clip_id"], "labels"]) == ["left", "right"]
    assert list(clips.loc[last["clip_id"], "labels"]) == ["right"]


def test_an_empty_cell_is_told_how_to_be_filled_in(data: Path, made: Request) -> None:
    with pytest.raises(UserError, match=r"row 2: label is empty; name all of its labels, as run\|walk, write - where"):
        receive(filled_in(made, ["", *["left"] * 11]), data, SPLIT, seed=SEED)


def test_label_studio_gives_sets_back(data: Path, made: Request) -> None:
    tasks = json.loads((made.folder / "label_studio.json").read_text(encoding="utf-8"))
    export = [
        {"id": number, "data": task["data"], "annotations": [{"result": task["predictions"][0]["result"]}]}
        for number, task in enumerate(tasks)
    ]
    path = made.folder / "export.json"
    path.write_text(json.dumps(export), encoding="utf-8")
    receive(path, data, SPLIT, seed=SEED)
    said = {row["clip_id"]: row["predicted"].removeprefix("'") for row in rows_of(made)}
    assert read_label_table(data.parent / "person_labels.csv") == said


def test_cvat_gives_sets_back_and_an_untagged_film_says_nothing(data: Path, made: Request) -> None:
    offered = json.loads((made.folder / "cvat_labels.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in offered] == ["left", "right", NOTHING]
    both, none, untagged = sorted(path.name for path in (made.folder / "clips").iterdir())[:3]
    tags = {both: [(0, "left"), (3, "right")], none: [(0, NOTHING)], untagged: []}
    path = made.folder / "annotations.xml"
    path.write_text(cvat_export(tags), encoding="utf-8")
    found = receive(path, data, SPLIT, seed=SEED)
    assert (found.taken, found.skipped) == ({"-": 1, "left|right": 1}, 1)
    path.write_text(cvat_export({both: [(0, "left"), (3, NOTHING)]}), encoding="utf-8")
    with pytest.raises(UserError, match="'-' alone means none"):
        receive(path, data, SPLIT, seed=SEED)


def test_a_model_of_one_class_asks_nothing_of_such_clips(data: Path) -> None:
    outputs = sets_of(data)
    single = replace(outputs, thresholds=None)
    with pytest.raises(UserError, match=r"clips may have several labels .* and the model that saw them names one a"):
        request(single, data, data.parent / "requests", budget=6)
    write_half_labelled(data.parent / "single")
    with pytest.raises(UserError, match=r"clips have one label .* and the model that saw them names several a clip"):
        request(outputs, data.parent / "single", data.parent / "requests", budget=6)
