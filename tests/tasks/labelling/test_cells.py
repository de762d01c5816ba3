from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UserError
from tasks.labelling.cells import inert, plain, read_rows, table_text, write_text

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\uff1d1", "1e5", "0123", "'x", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_nothing_is_a_formula_or_a_number(text: str) -> None:
    assert inert(text) == f"'{text}"


def test_plain_names_stay_as_they_are() -> None:
    for text in ("walk", "sit down", "a-b", "日本語", ""):
        assert inert(text) == text


@given(st.text())
def test_what_was_made_inert_is_read_back(text: str) -> None:
    assert plain(inert(text)) == text
    assert not inert(text).lstrip(" ").startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_as_spreadsheets_save_them(tmp_path: Path, delimiter: str, end: str, mark: str) -> None:
    path = tmp_path / "labels.csv"
    lines = [["clip_id", "note", "label"], ["a", '"two, three; four"', " walk "], ["", "", ""], ["b", "", "run"], []]
    path.write_bytes((mark + end.join(delimiter.join(line) for line in lines)).encode())
    rows = read_rows(path, ("clip_id", "label"))
    found = [(row.number, row.cells["clip_id"], row.cells["label"]) for row in rows]
    assert found == [(2, "a", "walk"), (4, "b", "run")]
    assert rows[0].cells["note"] == "two, three; four"


def test_cells_with_separators_and_quotes_stay_one(tmp_path: Path) -> None:
    content = {"a": 'x";=1+1,"\ny', "b": "ä"}
    write_text(table_text(("a", "b"), [content]), tmp_path / "table.csv")
    assert read_rows(tmp_path / "table.csv", ("a", "b"))[0].cells == content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("clip_id,label\na,gr\xfcn\n".encode("latin-1"), "this is not UTF-8; save it as 'CSV UTF-8"),
        (b"", "row 1: column clip_id is missing"),
        (b"clip_id,lable\na,b\n", "row 1: column label is missing"),
        (b"clip_id,label,label\na,b,c\n", "row 1: column label is there twice"),
        (b"PK\x03\x04\x00\x00", "this is not a readable table"),
        (b'clip_id,label\na,"b\n', "this is not a readable table"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_rows(tmp_path / "labels.csv", ("clip_id", "label"))
    assert str(raised.value).startswith(f"{tmp_path / 'labels.csv'}: {expected}")
