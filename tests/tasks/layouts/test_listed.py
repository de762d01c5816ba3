import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.params.data import SplitParams
from tasks.video.clips import Segment
from tasks.video.sources import read_claims
from tests.support import layouts
from tests.support.layouts import cvat_export, empty

GIVEN = SplitParams(by="given", val=0.3)


def given(source: Path, **more: int) -> list[Claim]:
    return read_claims(source, split=GIVEN, **more)


def complaint(source: Path) -> str:
    with pytest.raises(UserError) as raised:
        given(source)
    message = str(raised.value)
    assert "\n" not in message
    return message


def splits_of(claims: list[Claim]) -> Counter[tuple[str | None, str | None]]:
    return Counter((claim.label, claim.split) for claim in claims)


class TestUcf101:
    def test_official_lists_decide_and_groups_are_sources(self, tmp_path: Path) -> None:
        claims = given(layouts.ucf101(tmp_path))
        assert splits_of(claims) == {
            (label, split): count
            for label in layouts.UCF_CLASSES
            for split, count in (("train", 2), ("val", 1), ("test", 2))
        }
        first = claims[0]
        assert (first.uri, first.label, first.source_id, first.split) == (
            "UCF-101/HandstandPushups/v_HandStandPushups_g01_c01.avi",
            "HandstandPushups",
            "v_HandStandPushups_g01",
            "test",
        )

    def test_the_same_clips_are_held_out_each_time_and_never_of_the_test(self, tmp_path: Path) -> None:
        claims = given(layouts.ucf101(tmp_path))
        assert claims == given(tmp_path)
        assert {claim.source_id[-3:] for claim in claims if claim.split == "test"} == {"g01", "g02"}

    def test_converted_videos_are_found(self, tmp_path: Path) -> None:
        layouts.ucf101(tmp_path)
        for path in (tmp_path / "UCF-101").rglob("*.avi"):
            path.rename(path.with_suffix(".mp4"))
        assert len(given(tmp_path)) == 10

    def test_what_is_missing_and_what_is_in_no_list_is_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        layouts.ucf101(tmp_path)
        (tmp_path / "UCF-101/YoYo/v_YoYo_g05_c01.avi").rename(tmp_path / "UCF-101/YoYo/mine.avi")
        with caplog.at_level(logging.INFO):
            assert len(given(tmp_path)) == 9
        said = caplog.text
        assert "1 clips that the lists name are not here" in said
        assert "trainlist01.txt: row 6: v_YoYo_g05_c01" in said
        assert "1 videos that no list names are left out: UCF-101/YoYo/mine.avi" in said
        assert f"{tmp_path}: read as UCF101 by testlist01.txt, trainlist01.txt, classInd.txt; official split 1" in said

    @pytest.mark.parametrize(
        ("name", "row", "expected"),
        [
            ("trainlist01.txt", "YoYo/x.avi 2", "row 7: 'YoYo/x.avi 2' is not like ApplyEyeMakeup/"),
            ("trainlist01.txt", "Yo/v_Yo_g01_c01.avi 2", "row 7: class 'Yo' is not in classInd.txt"),
            ("trainlist01.txt", "YoYo/v_YoYo_g03_c01.avi 1", "row 7: class 'YoYo' is 2 in classInd.txt, and 1 here"),
            ("classInd.txt", "YoYo", "row 3: 'YoYo' is not a number and a class"),
            ("testlist01.txt", "YoYo/v_YoYo_g03_c01.avi", "has another class or split in"),
        ],
    )
    def test_a_mistake_is_named_with_its_row(self, tmp_path: Path, name: str, row: str, expected: str) -> None:
        path = layouts.ucf101(tmp_path) / "ucfTrainTestlist" / name
        path.write_text(path.read_text() + row + "\n")
        assert expected in complaint(tmp_path)
        assert complaint(tmp_path).startswith(str(path))

    def test_another_official_split_that_is_not_there(self, tmp_path: Path) -> None:
        layouts.ucf101(tmp_path)
        with pytest.raises(
            UserError, match=r"trainlist02\.txt: this list is missing.*testlist01\.txt, trainlist01\.txt"
        ):
            given(tmp_path, official=2)

    def test_without_any_video(self, tmp_path: Path) -> None:
        layouts.ucf101(tmp_path, write=lambda path: path)
        assert "none of the 10 clips that the lists name is here" in complaint(tmp_path)


class TestHmdb51:
    def test_sides_films_and_what_is_on_no_side(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO):
            claims = given(layouts.hmdb51(tmp_path))
        assert Counter(claim.split for claim in claims if claim.label == "wave")["test"] == 2
        assert "2 clips are on no side of the split and are left out" in caplog.text
        shared = {(claim.label, claim.split) for claim in claims if claim.source_id == "#20_Rhythm_clap"}
        assert len({split for _, split in shared}) == 1, "a film stays on one side, also across classes"
        assert all(any(c.label == label and c.split == "val" for c in claims) for label in layouts.HMDB_CLASSES)

    def test_by_source_all_clips_count(self, tmp_path: Path) -> None:
        assert len(read_claims(layouts.hmdb51(tmp_path), split=SplitParams(by="source"))) == 12

    def test_a_mistake_is_named_with_its_row(self, tmp_path: Path) -> None:
        path = layouts.hmdb51(tmp_path) / "testTrainMulti_7030_splits" / "wave_test_split1.txt"
        path.write_text("x_wave_f_cm_np1_fr_med_0.avi 3\n")
        assert complaint(tmp_path).startswith(f"{path}: row 1: ")


class TestKinetics:
    def test_published_lists(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        claims = given(layouts.kinetics(tmp_path))
        assert splits_of(claims)["air drumming", "train"] == 3
        assert {claim.split for claim in claims} == {"train", "val", "test"}
        assert [c.uri for c in claims if c.source_id == "-atra0_Abc"] == [
            "train/-atra0_Abc_000000_000010.mp4",
            "train/-atra0_Abc_30_40.mp4",
        ]
        assert "1 clips that the lists name are not here and are left out" in caplog.text

    def test_one_list_and_whole_videos(self, tmp_path: Path) -> None:
        empty(tmp_path / "videos" / "abc.mkv")
        path = tmp_path / "train.csv"
        path.write_text(
            'label,youtube_id,time_start,time_end,split,is_cc\n"a, b",abc,59,69,train,0\nc,abc,80,90,train,0\n'
        )
        claims = read_claims(path)
        assert [(c.label, c.segment, c.source_id) for c in claims] == [
            ("a, b", Segment(59, 69), "abc"),
            ("c", Segment(80, 90), "abc"),
        ]

    def test_a_test_without_labels(self, tmp_path: Path) -> None:
        layouts.kinetics(tmp_path)
        path = tmp_path / "test.csv"
        rows = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(f"{','.join(row[1:])}\n" for row in rows))
        assert splits_of(given(tmp_path))["air drumming", "test"] == 2, "the official validation is the test"
        assert Counter(c.label is None for c in read_claims(tmp_path, has_labels=False))[True] == 4

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            ("a,abc,x,10,train", "row 2: time_start is 'x'; write seconds"),
            ("a,abc,20,10,train", "row 2: time_end (10) must come after time_start (20)"),
            ("a,,0,10,train", "row 2: youtube_id is empty"),
            ("a,abc,0,10,later", "row 2: split is 'later'; write one of train, val"),
            ("a/b,abc,0,10,train", "row 2: label 'a/b' is a path"),
        ],
    )
    def test_a_mistake_is_named_with_its_row(self, tmp_path: Path, row: str, expected: str) -> None:
        path = tmp_path / "train.csv"
        path.write_text(f"label,youtube_id,time_start,time_end,split\n{row}\n")
        assert complaint(tmp_path).startswith(f"{path}: ")
        assert expected in complaint(tmp_path)

    def test_a_list_with_other_separators_is_not_passed_over(self, tmp_path: Path) -> None:
        path = layouts.kinetics(tmp_path) / "val.csv"
        path.write_text("label;youtube_id;time_start;time_end;split\na;abc;0;10;val\n")
        assert complaint(tmp_path).startswith(f"{path}: a comma should separate its cells; save it as 'CSV UTF-8")


class TestSomething:
    def test_classes_are_templates_and_the_validation_is_the_test(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            claims = given(layouts.something(tmp_path))
        assert splits_of(claims) == {
            (label, split): count
            for label in ("Holding something next to something", "Tearing something into two pieces")
            for split, count in (("train", 2), ("val", 1), ("test", 2))
        }
        assert "2 clips have no label and are left out" in caplog.text

    def test_published_answers_make_the_test_a_test(self, tmp_path: Path) -> None:
        layouts.something(tmp_path)
        rows = "4000;Holding something next to something\n4010;Tearing something into two pieces\n"
        (tmp_path / "test-answers.csv").write_text(rows)
        assert Counter(claim.split for claim in given(tmp_path)) == {"train": 6, "val": 4, "test": 2}

    def test_mistakes_are_named(self, tmp_path: Path) -> None:
        path = layouts.something(tmp_path) / "something-something-v2-train.json"
        path.write_text('[{"id": "1", "template": "Flying [something]"}]')
        assert complaint(tmp_path).startswith(f"{path}: entry 1: class 'Flying something' is not in labels.json")
        path.write_text('[{"id": "1"}]')
        assert "entry 1: the clip has no template" in complaint(tmp_path)
        path.write_text('[{"id": "1"')
        assert "this is not JSON" in complaint(tmp_path)
        labels = next(tmp_path.glob("*labels.json"))
        labels.write_text(labels.read_text()[:-10])
        assert complaint(tmp_path).startswith(f"{labels}: this is not JSON")


class TestCvat:
    def export(self, root: Path, content: str) -> Path:
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            empty(root / "films" / name)
        path = root / "annotations.xml"
        path.write_text(content)
        return path

    def test_a_film_has_the_class_of_its_tags(self, tmp_path: Path) -> None:
        tags = {"a.mp4": [(0, "walk"), (5, "walk")], "b.mp4": [(3, "run &amp; hop")], "c.mp4": []}
        self.export(tmp_path, cvat_export(tags))
        assert [(c.uri, c.label) for c in read_claims(tmp_path)] == [
            ("films/a.mp4", "walk"),
            ("films/b.mp4", "run & hop"),
        ]
        assert read_claims(tmp_path, has_labels=False)[2].label is None

    def test_a_task_by_itself_now_and_as_it_was_written_before(self, tmp_path: Path) -> None:
        content = cvat_export({"a.mp4": [(0, "walk")]}, project=False)
        assert [c.label for c in read_claims(self.export(tmp_path, content))] == ["walk"]
        older = content.replace("<source>a.mp4</source>", "").replace("</task>", "</task><source>a.mp4</source>")
        assert [c.label for c in read_claims(self.export(tmp_path, older))] == ["walk"]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (
                cvat_export({"a.mp4": [(0, "x"), (9, "y")]}),
                "task 7 (task 7): a.mp4 is tagged 'x' at frame 0 and 'y' at frame 9",
            ),
            (
                cvat_export({"a.mp4": []}, more='<track id="0" label="car"></track>'),
                "track of label 'car': it says where",
            ),
            (cvat_export({"": []}), "this task has images and not a film"),
            (cvat_export({"a.mp4": [(0, "x")]})[:-20], "this is not XML"),
            ("<!DOCTYPE annotations [<!ENTITY a 'b'>]><annotations>&a;</annotations>", "a document type is not read"),
            ("<annotations></annotations>", "there is no task in it"),
        ],
    )
    def test_what_is_not_taken_is_said(self, tmp_path: Path, content: str, expected: str) -> None:
        path = self.export(tmp_path, content)
        assert complaint(tmp_path).startswith(f"{path}: ")
        assert expected in complaint(tmp_path)


class TestLabelStudio:
    def export(self, root: Path, **results: list[dict[str, object]]) -> Path:
        """Choices by film, each as one annotation; names as Label Studio gives them to uploads and local files."""
        for name in ("a.mp4", "b c.mp4"):
            empty(root / "films" / name)
        address = {"a": "/data/upload/1/0a1b2c3d-a.mp4", "b": "/data/local-files/?d=films/b%20c.mp4"}
        tasks = [
            {
                "id": 40 + number,
                "data": {"video": address[film], "note": "x"},
                "annotations": [{"result": [result]} for result in results[film]],
            }
            for number, film in enumerate(results)
        ]
        path = root / "export.json"
        path.write_text(json.dumps(tasks))
        return path

    def test_films_have_the_class_that_people_chose(self, tmp_path: Path) -> None:
        choice = {"type": "choices", "from_name": "action", "value": {"choices": ["walk"]}}
        rated = {"type": "rating", "from_name": "quality", "value": {"rating": 3}}
        self.export(tmp_path, a=[choice, choice], b=[choice, rated])
        claims = read_claims(tmp_path)
        assert [(claim.uri, claim.label) for claim in claims] == [("films/a.mp4", "walk"), ("films/b c.mp4", "walk")]

    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            ({"type": "choices", "value": {"choices": ["run"]}}, "task 40: it is 'run' and 'walk'; agree on one"),
            (
                {"type": "choices", "value": {"choices": ["run", "walk"]}},
                "task 40: it is 'run' and 'walk', and a clip has one label",
            ),
            ({"type": "timelinelabels", "value": {"ranges": []}}, "type 'timelinelabels' is not for the whole film"),
        ],
    )
    def test_what_is_not_one_class_is_said(self, tmp_path: Path, second: dict[str, object], expected: str) -> None:
        path = self.export(tmp_path, a=[{"type": "choices", "value": {"choices": ["walk"]}}, second])
        assert complaint(tmp_path).startswith(f"{path}: ")
        assert expected in complaint(tmp_path)


class TestRecognition:
    def test_lists_of_two_datasets_have_to_be_told_apart(self, tmp_path: Path) -> None:
        layouts.ucf101(tmp_path)
        layouts.hmdb51(tmp_path)
        assert "the lists of UCF101 and HMDB51 lie here; say which counts: --layout ucf101 or hmdb51" in complaint(
            tmp_path
        )
        assert len(read_claims(tmp_path, layout="ucf101")) == 10

    def test_a_layout_can_be_forced(self, tmp_path: Path) -> None:
        layouts.ucf101(tmp_path)
        assert {claim.label for claim in read_claims(tmp_path / "UCF-101", layout="folder")} == set(layouts.UCF_CLASSES)
        assert {claim.label for claim in read_claims(tmp_path, layout="folder")} == {"UCF-101"}
        with pytest.raises(UserError, match=r"Kinetics has a CSV .* and none is here; set --layout"):
            read_claims(tmp_path, layout="kinetics")
        with pytest.raises(UserError, match=r"there is no table here; name it clips\.csv"):
            read_claims(tmp_path, layout="table")

    def test_other_files_of_the_same_name_are_no_lists(self, tmp_path: Path) -> None:
        empty(tmp_path / "walk" / "1.mp4")
        for name in ("labels.json", "train.json", "train.csv", "notes.xml"):
            (tmp_path / name).write_text("[]")
        assert [claim.label for claim in read_claims(tmp_path)] == ["walk"]

    @pytest.mark.parametrize("name", ["ava_train_v2.2.csv", "mine.csv"])
    def test_boxes_are_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n")
        empty(tmp_path / "-5KQ66BBWC4.mkv")
        for source in (tmp_path, tmp_path / name):
            assert complaint(source).startswith(
                f"{tmp_path / name}: row 1: boxes say who does what where in a frame (as AVA"
            )
        assert "give a table with path, label, start_s and end_s" in complaint(tmp_path)

    def test_a_table_with_boxes_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "clips.csv").write_text("path,label,xmin,ymin\na.mp4,walk,0,0\n")
        assert "column 'xmin': boxes say who does what where" in complaint(tmp_path)
