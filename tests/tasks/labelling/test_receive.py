import csv
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models.clips.manifest import PERSON, PSEUDO, read_manifest
from models.errors import UserError
from tasks.dataset import store_clips
from tasks.labelling import receive as module
from tasks.labelling.receive import Received, receive
from tasks.labelling.request import request
from tasks.labelling.table import read_label_table, write_label_table
from tests.support.layouts import cvat_export
from tests.support.questions import HOSTILE_SOURCE, SEED, SPLIT, outputs_of, write_half_labelled
from tests.support.results import HOSTILE

LABELS = ["left", "right"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_half_labelled(tmp_path / "data")
    return tmp_path / "data"


def manifest_of(data: Path) -> pd.DataFrame:
    return read_manifest(data / "manifest.parquet").set_index("clip_id")


def table_of(data: Path) -> dict[str, str]:
    return read_label_table(data.parent / "person_labels.csv")


def open_clips(data: Path) -> list[str]:
    clips = manifest_of(data)
    return clips.index[clips["label"].isna()].tolist()


def answered(data: Path, labels: dict[str, str] | list[tuple[str, str]]) -> Path:
    path = data.parent / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "source_id", "label"])
        rows = labels.items() if isinstance(labels, dict) else labels
        writer.writerows((clip_id, "x", label) for clip_id, label in rows)
    return path


def exported(data: Path, tasks: list[Any]) -> Path:
    path = data.parent / "export.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def said(label: str | None, **more: Any) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    chosen = [{"from_name": "label", "to_name": "video", "type": "choices", "value": {"choices": [label]}}]
    return {"id": 7, "completed_by": 1, "result": chosen if label else [], "was_cancelled": False, **more}


def task(number: int, clip_id: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    data = {"video": "/data/local-files/?d=x.mp4", "clip_id": clip_id}
    prediction = {"result": said("left")["result"], "score": 0.9}
    return {"id": number, "data": data, "annotations": list(annotations), "predictions": [prediction], "drafts": []}


def take(path: Path, data: Path, **more: Any) -> Received:
    return receive(path, data, SPLIT, seed=SEED, **more)


def complaint(path: Path, data: Path, **more: Any) -> str:
    """What is said of a file of which nothing is taken."""
    before = {name: name.read_bytes() for name in data.parent.glob("*/*.parquet")}, table_of(data)
    with pytest.raises(UserError) as raised:
        take(path, data, **more)
    assert ({name: name.read_bytes() for name in data.parent.glob("*/*.parquet")}, table_of(data)) == before
    return str(raised.value)


class TestTaking:
    def test_labels_reach_the_manifest_with_source_time_and_split(self, data: Path) -> None:
        before, wanted = manifest_of(data), open_clips(data)
        found = take(answered(data, dict.fromkeys(wanted, "left")), data)
        after = manifest_of(data)
        assert found.taken == {"left": 20}
        assert (after.loc[wanted, "label"] == "left").all()
        assert (after.loc[wanted, "label_origin"] == PERSON).all()
        assert after.loc[wanted, "split"].isin(["train", "val", "test"]).all()
        assert found.splits == after.loc[wanted, "split"].value_counts().to_dict()
        unchanged = [name for name in before if name not in ("label", "label_origin", "split")]
        assert after[unchanged].equals(before[unchanged])
        assert (after.groupby("source_id")["split"].nunique() == 1).all()
        old = before.index.difference(wanted)
        assert after.loc[old].equals(before.loc[old])
        assert table_of(data) == dict.fromkeys(wanted, "left")

    def test_a_source_keeps_its_split_as_labels_come_in_parts(self, data: Path) -> None:
        wanted = open_clips(data)
        take(answered(data, dict.fromkeys(wanted[::4], "left")), data)
        first = manifest_of(data).dropna(subset="split").groupby("source_id")["split"].first()
        take(answered(data, dict.fromkeys(wanted, "left")), data)
        second = manifest_of(data).groupby("source_id")["split"].first()
        assert second[first.index].equals(first)

    def test_a_request_that_was_filled_in_comes_back(self, tmp_path: Path) -> None:
        data, labels = tmp_path / "hostile", sorted(HOSTILE)
        clips = write_half_labelled(data, tuple(labels), source=HOSTILE_SOURCE)
        made = request(outputs_of(clips, labels), data, tmp_path / "requests", budget=30)
        path = made.folder / "labels.csv"
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        for row in rows:
            row["label"] = row["predicted"]  # copied from the column beside it
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0], delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
        assert sum(take(path, data).taken.values()) == len(rows)
        assert set(table_of(data).values()) <= set(labels)
        tasks = json.loads((made.folder / "label_studio.json").read_text(encoding="utf-8"))
        export = [task(n, one["data"]["clip_id"], {"result": one["predictions"][0]["result"]}) for n, one in
                  enumerate(tasks)]  # fmt: skip
        assert take(exported(data, export), data).repeated == len(rows)

    def test_the_same_file_again_changes_nothing(self, data: Path) -> None:
        path = answered(data, dict.fromkeys(open_clips(data)[:6], "right"))
        take(path, data)
        files = [data / "manifest.parquet", data.parent / "person_labels.csv"]
        before = [file.read_bytes() for file in files]
        found = take(path, data)
        assert (found.taken, found.repeated, found.splits) == ({}, 6, {})
        assert [file.read_bytes() for file in files] == before

    def test_a_question_mark_skips_and_the_rest_is_taken(self, data: Path) -> None:
        one, two, *_ = open_clips(data)
        found = take(answered(data, {one: "?", two: " Left".strip().lower()}), data)
        assert (found.taken, found.skipped) == ({"left": 1}, 1)
        assert pd.isna(manifest_of(data)["label"][one])

    def test_a_pseudo_label_gives_way(self, data: Path) -> None:
        clip = open_clips(data)[0]
        clips = manifest_of(data).reset_index().astype({"label_origin": object})
        clips.loc[clips["clip_id"] == clip, ["label", "label_origin", "split"]] = ["left", PSEUDO, "train"]
        store_clips(clips, data, SPLIT, SEED)
        take(answered(data, {clip: "right"}), data)
        assert manifest_of(data).loc[clip, ["label", "label_origin"]].tolist() == ["right", PERSON]

    def test_killed_between_table_and_manifest_the_same_call_goes_on(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = answered(data, dict.fromkeys(open_clips(data), "left"))
        before = manifest_of(data)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(module, "store_clips", killed)
        with pytest.raises(KeyboardInterrupt):
            take(path, data)
        assert manifest_of(data).equals(before)
        monkeypatch.undo()
        take(path, data)
        assert open_clips(data) == []

    def test_links_into_a_cache_are_never_written_through(self, data: Path, tmp_path: Path) -> None:
        cached = tmp_path / "cached"
        (data / "manifest.parquet").rename(cached)
        os.link(cached, data / "manifest.parquet")
        before = cached.read_bytes()
        take(answered(data, dict.fromkeys(open_clips(data), "left")), data)
        assert cached.read_bytes() == before


class TestNewClasses:
    def test_a_class_waits_until_it_can_be_split(self, data: Path) -> None:
        clips = manifest_of(data)
        by_source = clips[clips["label"].isna()].groupby("source_id").groups
        sources = sorted(by_source)
        first = take(answered(data, dict.fromkeys(by_source[sources[0]], "fall")), data, new_classes=True)
        assert (first.taken, first.new_classes, first.waiting) == ({"fall": 4}, ["fall"], {"fall": 4})
        assert manifest_of(data).equals(clips)
        rest = {clip: "fall" for source in sources[1:] for clip in by_source[source]}
        second = take(answered(data, rest), data, new_classes=True)
        assert (second.taken, second.waiting) == ({"fall": 16}, {})
        labelled = manifest_of(data)
        assert set(labelled.loc[labelled["label"] == "fall", "split"]) == {"train", "val", "test"}
        assert (labelled["label"] == "fall").sum() == 20

    def test_without_leave_it_is_refused_and_case_never_makes_a_class(self, data: Path) -> None:
        one, two, *_ = open_clips(data)
        assert complaint(answered(data, {one: "fall"}), data).endswith(
            "row 2: label 'fall' is unknown; known are left, right; a class that is new needs --new-classes"
        )
        message = complaint(answered(data, {two: "Left"}), data, new_classes=True)
        assert message.endswith("row 2: label 'Left' is unknown; did you mean left?")

    def test_only_what_params_allow(self, data: Path) -> None:
        clip = open_clips(data)[0]
        assert "known are right" in complaint(answered(data, {clip: "xyz"}), data, allowed=("right",))


class TestMistakes:
    def test_each_is_a_line_with_its_row_and_nothing_is_taken(self, data: Path) -> None:
        one, two, three, four, *_ = open_clips(data)
        rows = [
            (one, "left"),
            ("ff00", "left"),
            (two, ""),
            (three, "lefft"),
            (one, "right"),
            ("", "left"),
            (four, "a/b"),
        ]
        lines = complaint(answered(data, rows), data).splitlines()
        path = data.parent / "labels.csv"
        assert lines == [
            f"{path}: row 3: clip ff00 is not in {data / 'manifest.parquet'}; restore clip_id from the request, or "
            "bring the dataset up to date with `git merge videoloop/latest && dvc checkout`",
            f"{path}: row 4: label is empty; name a class, write ? where nobody can tell, or delete the row",
            f"{path}: row 5: label 'lefft' is unknown; did you mean left?; a class that is new needs --new-classes",
            f"{path}: row 6: clip {one} is 'right' here and 'left' in row 2; agree on one",
            f"{path}: row 7: clip_id is empty; restore it from the request",
            f"{path}: row 8: label 'a/b' is unknown; known are left, right; a class that is new needs --new-classes",
        ]

    def test_very_many_are_cut_short(self, data: Path) -> None:
        lines = complaint(answered(data, [(f"no-{n}", "left") for n in range(50)]), data).splitlines()
        assert (len(lines), lines[-1]) == (21, "and 30 more")

    def test_a_label_that_differs_from_the_one_there_is_needs_leave(self, data: Path) -> None:
        clips = manifest_of(data)
        known = clips.index[clips["label"] == "left"][0]
        path = answered(data, {known: "right"})
        assert f"clip {known} is labelled 'left' already, and 'right' here; correct the row, or change" in complaint(
            path, data
        )
        assert take(path, data, replace=True).taken == {"right": 1}
        assert manifest_of(data).loc[known, ["label", "label_origin"]].tolist() == ["right", PERSON]
        assert "is labelled 'right' already" in complaint(answered(data, {known: "left"}), data)

    def test_a_class_of_a_source_must_stay_in_every_split(self, data: Path) -> None:
        clips = manifest_of(data)
        [only] = {*clips.loc[clips["split"] == "val", "source_id"]} - {"x"}
        lost = clips.index[(clips["source_id"] == only) & (clips["label"] == "left")]
        message = complaint(answered(data, dict.fromkeys(lost, "right")), data, replace=True)
        assert "class 'left' has no clip in val" in message

    @pytest.mark.parametrize("label", ["../../etc", "a\x07b", "walk.mp4"])
    def test_a_new_class_is_a_name(self, data: Path, label: str) -> None:
        message = complaint(answered(data, {open_clips(data)[0]: label}), data, new_classes=True)
        assert "row 2: label" in message
        assert "\x07" not in message

    def test_files_that_are_none(self, data: Path) -> None:
        nothing = data.parent / "nothing.csv"
        assert complaint(nothing, data).startswith(f"{nothing}: there is no such file")
        (data.parent / "labels.xlsx").write_bytes(b"PK")
        assert "(.csv), Label Studio's export (.json) or CVAT's (.xml) is expected" in complaint(
            data.parent / "labels.xlsx", data
        )
        assert "there are no labels in it" in complaint(answered(data, []), data)
        assert "there are no labels in it" in complaint(exported(data, []), data)

    def test_a_damaged_table_is_not_overwritten(self, data: Path) -> None:
        path = data.parent / "person_labels.csv"
        path.write_text("clip_id,label\n<<<<<<< ours\n")
        with pytest.raises(UserError, match=r"person_labels.csv: row 2: clip_id or label is empty; restore"):
            take(answered(data, {open_clips(data)[0]: "left"}), data)
        assert path.read_text() == "clip_id,label\n<<<<<<< ours\n"


class TestLabelStudio:
    def test_annotators_who_agree_and_tasks_that_were_skipped(self, data: Path) -> None:
        one, two, three, four, *_ = open_clips(data)
        found = take(
            exported(
                data,
                [
                    task(11, one, said("left"), said("left", completed_by={"id": 2})),
                    task(12, two, said(None, was_cancelled=True), said("right")),
                    task(13, three, said("left", was_cancelled=True)),
                    task(14, four),
                ],
            ),
            data,
        )
        assert (found.taken, found.skipped) == ({"left": 1, "right": 1}, 2)
        assert table_of(data) == {one: "left", two: "right"}

    def test_ground_truth_settles_a_dispute(self, data: Path) -> None:
        clip = open_clips(data)[0]
        take(exported(data, [task(1, clip, said("left"), said("right", ground_truth=True))]), data)
        assert table_of(data) == {clip: "right"}

    @pytest.mark.parametrize(
        ("make", "expected"),
        [
            (
                lambda clip: [task(31, clip, said("left"), said("right"))],
                "task 31: clip {clip} is 'right' here and 'left'",
            ),
            (lambda clip: [task(31, clip, said(None))], "task 31: label is empty; choose a class, or skip the task"),
            (lambda clip: [task(31, "other", said("left"))], "task 31: clip other is not in"),
            (lambda clip: [{"id": 5, "data": {}, "annotations": [said("left")]}], "task 5: clip_id is empty"),
            (lambda clip: [{"clip_id": clip, "label": "left"}], "task 1: this has no data and annotations"),
            (lambda clip: [[]], "task 1: this has no data and annotations"),
            (lambda clip: {"tasks": []}, "a list of tasks is expected"),
            (
                lambda clip: [task(31, clip, {"result": said("left")["result"] + said("right")["result"]})],
                "task 31: 2 classes are chosen in one annotation; leave one",
            ),
            (lambda clip: [task(31, clip, {"result": 5})], "task 31: this has no data and annotations"),
        ],
    )
    def test_mistakes(self, data: Path, make: Any, expected: str) -> None:
        clip = open_clips(data)[0]
        message = complaint(exported(data, make(clip)), data)
        assert expected.format(clip=clip) in message
        assert "\n" not in message

    def test_what_is_not_json(self, data: Path) -> None:
        path = data.parent / "export.json"
        for content in (b"\xff\xfe", b"[" * 100_000, b"{"):
            path.write_bytes(content)
            assert "this is not JSON" in complaint(path, data)


class TestCvat:
    def test_a_request_goes_there_and_comes_back(self, data: Path) -> None:
        clips = manifest_of(data).reset_index()
        made = request(outputs_of(clips, LABELS), data, data.parent / "requests", budget=6)
        offered = json.loads((made.folder / "cvat_labels.json").read_text(encoding="utf-8"))
        assert [(one["name"], one["type"]) for one in offered] == [("left", "tag"), ("right", "tag")]
        films = sorted(path.name for path in (made.folder / "clips").iterdir())
        tags = {name: [(0, offered[n % 2]["name"])] for n, name in enumerate(films[:5])} | {films[5]: []}
        export = made.folder / "annotations.xml"
        export.write_text(cvat_export(tags), encoding="utf-8")
        found = take(export, data)
        assert (found.taken, found.skipped) == ({"left": 3, "right": 2}, 1)
        assert set(table_of(data)) == {name[5:-4] for name in films[:5]}

    def test_films_that_are_of_no_request(self, data: Path) -> None:
        export = data.parent / "annotations.xml"
        export.write_text(cvat_export({"holiday.mp4": [(0, "left")]}), encoding="utf-8")
        with pytest.raises(UserError, match=r"task 7 \(task 7\): clip_id is empty; restore it from the request"):
            take(export, data)


def test_labels_that_lie_in_the_table_only_are_put_on_the_manifest(data: Path) -> None:
    one, two, *_ = open_clips(data)
    write_label_table({one: "left"}, data.parent / "person_labels.csv")
    take(answered(data, {two: "right"}), data)
    assert manifest_of(data).loc[[one, two], "label"].tolist() == ["left", "right"]
