from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.video.clips import Segment
from tasks.video.sources import read_claims


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def table(folder: Path, content: str) -> Path:
    path = folder / "clips.csv"
    path.write_text(content, encoding="utf-8")
    return path


def complaint(source: Path) -> str:
    with pytest.raises(UserError) as raised:
        read_claims(source)
    return str(raised.value)


class TestFolder:
    def test_a_file_in_its_class_is_a_source_of_its_own(self, tmp_path: Path) -> None:
        claims = read_claims(touch(tmp_path, "walk/b.mp4", "run/a.mkv"))
        assert [(c.uri, c.label, c.source_id) for c in claims] == [
            ("run/a.mkv", "run", "run/a.mkv"),
            ("walk/b.mp4", "walk", "walk/b.mp4"),
        ]

    def test_a_folder_within_a_class_is_a_source_across_classes(self, tmp_path: Path) -> None:
        claims = read_claims(touch(tmp_path, "walk/cam1/a.mp4", "run/cam1/deep/b.mp4", "run/cam2/a.mp4"))
        assert [(c.label, c.source_id) for c in claims] == [("run", "cam1"), ("run", "cam2"), ("walk", "cam1")]

    def test_notes_and_hidden_files_are_passed_over(self, tmp_path: Path) -> None:
        folder = touch(tmp_path, "a/1.mp4", "a/notes.txt", "a/.2.mp4", ".git/x.mp4", "README.md")
        assert [claim.uri for claim in read_claims(folder)] == ["a/1.mp4"]

    def test_a_folder_behind_a_link_is_not_entered_and_said(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        touch(tmp_path, "elsewhere/secret.mp4", "source/a/1.mp4")
        (tmp_path / "source" / "b").symlink_to(tmp_path / "elsewhere")
        assert [claim.uri for claim in read_claims(tmp_path / "source")] == ["a/1.mp4"]
        assert "1 folders are symbolic links and are left out: b; put the folders themselves here" in caplog.text

    def test_videos_outside_of_a_class_are_counted_and_said_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = touch(tmp_path, *(f"{number}.mp4" for number in range(5)))
        assert f"no video in a class's folder here; expected {tmp_path}/<class>/<file>.mp4" in complaint(folder)
        assert [claim.uri for claim in read_claims(touch(tmp_path, "a/1.mp4"))] == ["a/1.mp4"]
        said = "5 videos that lie outside of a class's folder are left out: 0.mp4, 1.mp4, 2.mp4, ..."
        assert caplog.messages.count(said) == 2

    def test_its_own_table_is_read(self, tmp_path: Path) -> None:
        touch(tmp_path, "cam/1.mp4")
        table(tmp_path, "path,label,source_id\ncam/1.mp4,walk,cam\n")
        assert [(c.label, c.source_id) for c in read_claims(tmp_path)] == [("walk", "cam")]

    def test_names_that_are_no_text_are_kept_readable(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (Path(str(tmp_path / "a")) / b"caf\xe9.mp4".decode("utf-8", "surrogateescape")).write_bytes(b"x")
        [claim] = read_claims(tmp_path)
        assert claim.uri == "a/caf\\xe9.mp4"
        assert claim.path.exists()

    def test_empty(self, tmp_path: Path) -> None:
        assert f"no video here; expected {tmp_path}/<class>/<file>.mp4" in complaint(tmp_path)

    def test_missing(self, tmp_path: Path) -> None:
        assert "there is no such file or folder" in complaint(tmp_path / "nothing")

    def test_a_file_that_is_no_table(self, tmp_path: Path) -> None:
        assert "a folder per class or a table" in complaint(touch(tmp_path, "a.mp4") / "a.mp4")

    def test_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(folder: Path) -> None:
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr("tasks.layouts.tree.os.scandir", forbidden)
        assert complaint(tmp_path) == f"{tmp_path}: no permission to read; grant it, or choose another"


class TestUnlabelled:
    def test_a_folder_within_is_a_source(self, tmp_path: Path) -> None:
        claims = read_claims(touch(tmp_path, "cam1/a/1.mp4", "cam2/1.mp4", "3.mp4"), has_labels=False)
        assert [(c.uri, c.label, c.source_id) for c in claims] == [
            ("3.mp4", None, "3.mp4"),
            ("cam1/a/1.mp4", None, "cam1"),
            ("cam2/1.mp4", None, "cam2"),
        ]
        with pytest.raises(UserError, match=r"/<source>/<file>.mp4"):
            read_claims(touch(tmp_path / "empty", "notes.txt"), has_labels=False)

    def test_a_table_may_leave_labels_out(self, tmp_path: Path) -> None:
        touch(tmp_path, "1.mp4", "2.mp4")
        claims = read_claims(table(tmp_path, "path,source_id\n1.mp4,cam\n2.mp4,cam\n2.mp4,cam\n"), has_labels=False)
        assert [(c.label, c.source_id) for c in claims] == [(None, "cam")] * 3
        claims = read_claims(table(tmp_path, "path,label\n1.mp4,walk\n2.mp4,\n"), has_labels=False)
        assert [c.label for c in claims] == ["walk", None]


class TestTable:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return touch(tmp_path, "1.mp4", "2.mp4")

    def test_defaults(self, folder: Path) -> None:
        [claim] = read_claims(table(folder, "path,label\n1.mp4,walk\n"))
        assert claim == Claim(folder / "1.mp4", "1.mp4", "walk", "1.mp4")

    def test_every_column(self, folder: Path) -> None:
        [claim] = read_claims(
            table(
                folder,
                "path,label,source_id,start_s,end_s,captured_at,split\n"
                "1.mp4, walk ,cam,1.5,3,2026-01-02T03:04:05+01:00,val\n",
            )
        )
        moment = datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
        assert claim == Claim(folder / "1.mp4", "1.mp4", "walk", "cam", Segment(1.5, 3.0), moment, "val")

    def test_empty_cells_mean_the_default_and_na_is_a_label(self, folder: Path) -> None:
        content = "path,label,source_id,start_s,end_s,captured_at,split\n1.mp4,NA,,,,,\n"
        assert read_claims(table(folder, content)) == [Claim(folder / "1.mp4", "1.mp4", "NA", "1.mp4")]

    def test_parquet(self, folder: Path) -> None:
        moment = pd.Timestamp("2026-01-02", tz="UTC")
        rows = pd.DataFrame({"path": ["2.mp4", "1.mp4"], "label": "a", "start_s": [1.0, None], "captured_at": moment})
        rows.to_parquet(folder / "table.parquet")
        first, second = read_claims(folder / "table.parquet")
        assert (first.uri, first.segment, first.captured_at) == ("1.mp4", Segment(), moment.to_pydatetime())
        assert second.segment == Segment(1.0, None)

    def test_clips_come_in_order_of_path_and_time(self, folder: Path) -> None:
        content = "path,label,start_s,end_s\n2.mp4,a,10,11\n2.mp4,a,9,10\n1.mp4,a,0,1\n"
        claims = read_claims(table(folder, content))
        assert [(c.uri, c.segment.start_s) for c in claims] == [("1.mp4", 0.0), ("2.mp4", 9.0), ("2.mp4", 10.0)]

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("path,lable\n1.mp4,a\n", "column 'lable' is unknown; did you mean label?"),
            ("path,label,zzz\n1.mp4,a,b\n", "column 'zzz' is unknown; known are path, label, labels, source_id"),
            ("label\na\n", "column 'path' is missing; found label"),
            ("path\n1.mp4\n", "column 'label' is missing; found path"),
            ("path,label\n", "the table has no rows"),
            ("", "the table is empty"),
            ("path,label\n1.mp4,a\n3.mp4,a\n", "row 3: there is no file"),
            ("path,label\n,a\n", "row 2: path is empty"),
            ("path,label\n.,a\n", "is a folder; name a file"),
            ("path,label\n1.mp4,\n", "row 2: label is empty"),
            ("path,label\n1.mp4,a/b\n", "row 2: label 'a/b' is a path"),
            ("path,label\n1.mp4,..\n", "row 2: label '..' is a path"),
            ("path,label\n1.mp4,walk.mp4\n", "row 2: label 'walk.mp4' is a path"),
            ('path,label\n1.mp4,"a\x07b"\n', "has control characters"),
            ("path,label,start_s\n1.mp4,a,soon\n", "row 2: start_s is 'soon'; write seconds"),
            ("path,label,start_s\n1.mp4,a,-1\n", "row 2: start_s is '-1'; write seconds"),
            ("path,label,start_s\n1.mp4,a,inf\n", "row 2: start_s is 'inf'; write seconds"),
            ("path,label,start_s,end_s\n1.mp4,a,5,4\n", "row 2: end_s (4) must come after start_s (5)"),
            ("path,label,captured_at\n1.mp4,a,yesterday-ish\n", "row 2: captured_at is 'yesterday-ish'; write a time"),
            ("path,label,split\n1.mp4,a,training\n", "row 2: split is 'training'; write one of train, val, test"),
            ("path,label,captured_at\n1.mp4,a,01/02/2026\n", "row 2: captured_at is '01/02/2026'; write a time"),
            ("path,label\n1.mp4,a,b,c,d\n2.mp4,a\n", "its rows have more cells than its header; put quotes"),
            ("path,label\n1.mp4,a\n2.mp4,a,b\n", "row 3 has 3 cells, and the header 2; put quotes around cells"),
            ('path,label\n1.mp4,a\n2.mp4,"a\n', "a quotation mark in row 3 is not closed"),
            ("path;label\n1.mp4;a\n", "';' separates its cells, and a comma should; save it as 'CSV UTF-8"),
            ("path;label;start_s\n1.mp4;a;0,5\n", "';' separates its cells, and a comma should; save it"),
            ("path\tlabel\n1.mp4\ta\n", "'\\t' separates its cells, and a comma should; save it"),
            ("path,label,label\n1.mp4,a,b\n", "column 'label' is there twice; remove one of them"),
        ],
    )
    def test_a_mistake_is_named_with_its_place(self, folder: Path, content: str, expected: str) -> None:
        path = table(folder, content)
        message = complaint(path)
        assert message.startswith(f"{path}: ")
        assert expected in message
        assert "\n" not in message

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_a_table_that_is_not_utf_8_says_how_to_save_it(self, folder: Path, encoding: str) -> None:
        (folder / "a.csv").write_text("path,label\n1.mp4,caf\u00e9\n", encoding=encoding)
        assert complaint(folder / "a.csv").endswith("this is not UTF-8; save it as 'CSV UTF-8 (comma delimited)'")

    def test_a_number_is_no_time(self, folder: Path) -> None:
        rows = pd.DataFrame({"path": ["1.mp4"], "label": "a", "captured_at": 1767225600}, index=["first"])
        rows.to_parquet(folder / "a.parquet")
        assert "row 1: captured_at is 1767225600; write a time" in complaint(folder / "a.parquet")

    def test_rows_without_a_cell_are_passed_over(self, folder: Path) -> None:
        [claim] = read_claims(table(folder, "path,label\n,\n1.mp4,a\n,\n"))
        assert claim.uri == "1.mp4"

    def test_what_looks_like_several_labels_is_said(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        [claim] = read_claims(table(folder, "path,label\n1.mp4,run|walk\n"))
        assert claim.label == "run|walk"
        assert "1 labels such as 'run|walk' are taken for one class each; " in caplog.text
        assert "set ingest.multi_label" in caplog.text

    def test_a_file_that_is_no_parquet(self, folder: Path) -> None:
        (folder / "a.parquet").write_text("no")
        assert "this is not a readable table" in complaint(folder / "a.parquet")
