"""A table (CSV or Parquet) with a row for each clip."""

import difflib
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.clips.manifest import SPLITS
from models.errors import UserError
from tasks.layouts.boxes import are_boxes, boxes_refused
from tasks.layouts.claim import Claim
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.video.clips import Segment

logger = logging.getLogger(__name__)

COLUMNS = ("path", "label", "labels", "source_id", "start_s", "end_s", "captured_at", "split")
TABLE_SUFFIXES = (".csv", ".parquet")
TABLE_NAMES = ("clips.csv", "clips.parquet")
SAVE = "save it as 'CSV UTF-8 (comma delimited)'"
"""The remedy, in the words of spreadsheets."""
_LONGEST_HEADER = 10_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def read_table(
    path: Path,
    *,
    has_labels: bool,
    name: str = "",
    find: Callable[[str], Path] | None = None,
    rule: LabelRule = ONE_LABEL,
) -> list[Claim]:
    """List the clips of a table.

    Its columns are ``path`` (relative to the table) and ``label``, and optionally ``source_id`` (default: the path),
    ``start_s``, ``end_s``, ``captured_at`` (ISO 8601, UTC unless it names a zone) and ``split``. Empty cells mean the
    default. Without labels it needs no column ``label``; where it has one, its cells may be empty. Where clips may have
    several labels, a cell has them all, with the rule's separator between them, or ``-`` for none; the column may then
    be called ``labels`` too, and in Parquet hold lists.

    Args:
        path: The table.
        has_labels: Whether it says what its clips show.
        name: What messages call it; default: its path.
        find: Gives the file that a cell of column ``path`` names, or says in a :class:`LookupError` why there is none;
            default: relative to the table.
        rule: How many labels a clip may have.

    Raises:
        UserError: The table cannot be read or contradicts itself; the message names the row and a remedy.
    """
    name = name or str(path)
    table = _read_table(path, name)
    columns = list(map(str, table.columns))
    needed = "labels" if "labels" in columns else "label"
    _check_columns(name, columns, ("path", needed) if has_labels else ("path",))
    if table.empty:
        raise UserError(f"{name}: the table has no rows; add one for each clip")
    find = find or partial(_file_beside, path)
    first = 1 if path.suffix.lower() == ".parquet" else 2  # as a spreadsheet counts, in which the header is a row
    rows = zip(table.index, table.to_dict("records"), strict=True)
    claims = [_Row(name, first + number, row, find, rule).claim(has_labels) for number, row in rows]
    _say_what_looks_like_several(name, claims, rule)
    return sorted(claims, key=lambda claim: claim.order)


def _say_what_looks_like_several(name: str, claims: Sequence[Claim], rule: LabelRule) -> None:
    if rule.several:
        return
    found = [claim.label for claim in claims if claim.label and rule.separator in claim.label]
    if found:
        logger.warning(
            "%s: %d labels such as %r are taken for one class each; where a clip may have several labels, set "
            "ingest.multi_label in params.yaml to true",
            name,
            len(found),
            found[0],
        )


def _file_beside(table: Path, cell: str) -> Path:
    path = table.parent / cell
    if not path.exists():
        raise LookupError(f"there is no file {path}; correct the path, which is relative to the table")
    if path.is_dir():
        raise LookupError(f"{path} is a folder; name a file")
    return path


def _read_table(path: Path, name: str) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path).reset_index(drop=True)
        # "None" or "NA" may be a label: only an empty cell is empty.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise UserError(f"{name}: the table is empty; give it the columns path and label") from None
    except PermissionError:
        raise
    except UnicodeDecodeError:
        raise UserError(f"{name}: this is not UTF-8; {SAVE}") from None
    except (ValueError, OSError) as error:
        if isinstance(error, pd.errors.ParserError):
            _check_separator(path, name)
        raise UserError(f"{name}: this is not a readable table: {_in_words(str(error))}") from None
    _check_separator(path, name)
    if not isinstance(table.index, pd.RangeIndex):
        raise UserError(f"{name}: its rows have more cells than its header; put quotes around cells with commas")
    return table.dropna(how="all")


_TOO_MANY = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_OPEN = re.compile(r"EOF inside string starting at row (\d+)")


def _check_separator(path: Path, name: str) -> None:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(_LONGEST_HEADER)
    for separator in (";", "\t"):
        if separator in header and "," not in header:
            raise UserError(f"{name}: {separator!r} separates its cells, and a comma should; {SAVE}")


def _in_words(error: str) -> str:
    if found := _TOO_MANY.search(error):
        return f"row {found[2]} has {found[3]} cells, and the header {found[1]}; put quotes around cells with commas"
    if found := _OPEN.search(error):
        return f"a quotation mark in row {int(found[1]) + 1} is not closed"
    return " ".join(error.split())


def _check_columns(name: str, columns: list[str], needed: tuple[str, ...]) -> None:
    for column in columns:
        if are_boxes(column):
            raise UserError(f"{name}: column {column!r}: {boxes_refused()}")
        if column.rpartition(".")[0] in columns:  # as pandas calls the second of two
            raise UserError(f"{name}: column {column.rpartition('.')[0]!r} is there twice; remove one of them")
        if column not in COLUMNS:
            close = difflib.get_close_matches(column.strip().lower(), COLUMNS, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(COLUMNS)}"
            raise UserError(f"{name}: column {column!r} is unknown; {remedy}")
    if "label" in columns and "labels" in columns:
        raise UserError(f"{name}: it has both columns label and labels; remove one of them")
    for column in needed:
        if column not in columns:
            raise UserError(f"{name}: column {column!r} is missing; found {', '.join(columns)}")


def _moment(cell: Any) -> datetime:
    if isinstance(cell, str):
        with suppress(ValueError):  # a hundred times as fast as pandas, which reads more than ISO 8601
            moment = datetime.fromisoformat(cell.strip())
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not _DAY.match(cell.strip()):  # pandas takes 01/02/2026 for the second of January, and 13/02 for February
            raise ValueError(cell)
    elif isinstance(cell, int | float):
        raise TypeError(cell)
    moment = pd.to_datetime(cell, utc=True).to_pydatetime()
    assert isinstance(moment, datetime)
    return moment


def _is_list(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)


def _is_empty(cell: Any) -> bool:
    return not _is_list(cell) and bool(pd.isna(cell))


class _Row:
    """One row of a table; every complaint names it."""

    def __init__(
        self, table: str, number: int, row: dict[Any, Any], find: Callable[[str], Path], rule: LabelRule
    ) -> None:
        self._table = table
        self._find = find
        self._number = number
        self._rule = rule
        self._row = {str(name): value for name, value in row.items() if not _is_empty(value)}

    def claim(self, has_labels: bool) -> Claim:
        uri = self._text("path")
        if not uri:
            raise self._error("path is empty; name a file, relative to the table")
        try:
            path = self._find(uri)
        except LookupError as error:
            raise self._error(str(error)) from None
        label = self._label(has_labels)
        source_id = self._text("source_id") or uri
        return Claim(path, uri, label, source_id, self._segment(), self._captured_at(), self._split())

    def _label(self, has_labels: bool) -> str | None:
        column = "labels" if "labels" in self._row else "label"
        cell, place = self._row.get(column, ""), f"{self._table}: row {self._number}"
        if _is_list(cell):
            return self._rule.label([str(label).strip() for label in cell], place)
        text = self._text(column)
        if has_labels and not text:
            named = "its labels, write - for none of them" if self._rule.several else "the clip's class"
            raise self._error(f"label is empty; name {named}, or remove the row; --unlabelled takes rows without one")
        if not text:
            return None
        return self._rule.label(self._rule.in_cell(text, several=column == "labels"), place)

    def _segment(self) -> Segment:
        start_s, end_s = self._seconds("start_s") or 0.0, self._seconds("end_s")
        if end_s is not None and end_s <= start_s:
            raise self._error(f"end_s ({end_s:g}) must come after start_s ({start_s:g})")
        return Segment(start_s, end_s)

    def _seconds(self, column: str) -> float | None:
        if column not in self._row:
            return None
        try:
            seconds = float(self._row[column])
        except ValueError:
            seconds = -1.0
        if not 0.0 <= seconds < 1e9:
            raise self._error(f"{column} is {self._row[column]!r}; write seconds from the file's start, such as 12.5")
        return seconds

    def _captured_at(self) -> datetime | None:
        if "captured_at" not in self._row:
            return None
        try:
            return _moment(self._row["captured_at"])
        except (ValueError, OverflowError, TypeError):
            found = self._row["captured_at"]
            raise self._error(f"captured_at is {found!r}; write a time such as 2026-11-23T10:00:00Z") from None

    def _split(self) -> str | None:
        split = self._text("split")
        if split and split not in SPLITS:
            raise self._error(f"split is {split!r}; write one of {', '.join(SPLITS)}, or leave it empty")
        return split or None

    def _text(self, column: str) -> str:
        return str(self._row.get(column, "")).strip()

    def _error(self, complaint: str) -> UserError:
        return UserError(f"{self._table}: row {self._number}: {complaint}")
