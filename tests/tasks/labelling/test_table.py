from pathlib import Path

import pytest

from models.errors import UserError
from tasks.labelling.table import read_label_table, write_label_table


def test_what_was_written_is_read_and_the_order_is_nothing(tmp_path: Path) -> None:
    labels = {"b": "=1+1", "a": "日本語, 'x'", "1e5": "walk"}
    write_label_table(labels, tmp_path / "one.csv")
    write_label_table(dict(reversed(labels.items())), tmp_path / "two.csv")
    assert read_label_table(tmp_path / "one.csv") == labels
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert b'"\'=1+1"' in (tmp_path / "one.csv").read_bytes()


def test_no_table_is_no_label(tmp_path: Path) -> None:
    assert read_label_table(tmp_path / "none.csv") == {}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("a,walk\nb,\n", "row 3: clip_id or label is empty"),
        ("a,walk\na,run\n", "row 3: clip a is 'run' here and 'walk' above; keep one"),
        ("<<<<<<< HEAD\na,walk\n", "row 2: clip_id or label is empty"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, rows: str, expected: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"clip_id,label\n{rows}")
    with pytest.raises(UserError) as raised:
        read_label_table(path)
    assert str(raised.value).startswith(f"{path}: {expected}")
