"""What a person hands over: a folder per class, or a table. Nothing is decoded here, and nothing is written."""

import difflib
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from models.clips.manifest import SPLITS
from models.errors import UserError
from tasks.video.clips import WHOLE, Segment

logger = logging.getLogger(__name__)

COLUMNS = ("path", "label", "source_id", "start_s", "end_s", "captured_at", "split")
# Also what is refused later, so that quarantine names it; other files, such as notes, are passed over.
VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".ts", ".webm", ".wmv")
)
TABLE_SUFFIXES = (".csv", ".parquet")
TABLE_NAMES = ("clips.csv", "clips.parquet")


@dataclass(frozen=True)
class Claim:
    """One clip as its source describes it.

    Attributes:
        path: The file.
        uri: The file's name in the manifest: relative to the folder, or as the table writes it.
        label: Its class; None where the source does not say.
        source_id: The origin on which the clip depends: a camera, a person, else the file itself.
        segment: The stretch of the file.
        captured_at: When the file's recording began, in UTC.
        split: The table's wish for ``split.by: given``.
        may_be_link: Whether a symbolic link is followed: a table's author chose it, a folder may come from anywhere.
    """

    path: Path
    uri: str
    label: str | None
    source_id: str
    segment: Segment = WHOLE
    captured_at: datetime | None = None
    split: str | None = None
    may_be_link: bool = True


def read_claims(source: Path, *, has_labels: bool = True) -> list[Claim]:
    """List the clips of ``source``, in a stable order.

    A folder is read as ``<class>/<file>`` or ``<class>/<source>/.../<file>``: the class is the first folder's name. The
    source is the second folder's name, so ``walk/camera1/x.mp4`` and ``run/camera1/y.mp4`` have the same one; a file
    that lies directly in its class's folder is a source of its own. A folder that holds ``clips.csv`` or
    ``clips.parquet`` is read as that table.

    A table (CSV or Parquet) has the columns ``path`` (relative to the table) and ``label``, and optionally
    ``source_id`` (default: the path), ``start_s``, ``end_s``, ``captured_at`` (ISO 8601, UTC unless it names a zone)
    and ``split``. Empty cells mean the default.

    Without labels a folder is read as ``<source>/.../<file>``, and a table needs no column ``label``; where it has one,
    its cells may be empty.

    Args:
        source: The folder or the table.
        has_labels: Whether it says what its clips show.

    Raises:
        UserError: There is nothing to read, or the table contradicts itself; the message names the place and a remedy.
    """
    try:
        if source.is_dir():
            tables = [source / name for name in TABLE_NAMES if (source / name).is_file()]
            return claims_of_table(tables[0], has_labels) if tables else _from_folder(source, has_labels)
        if not source.exists():
            raise UserError(f"{source}: there is no such file or folder; give a folder per class, or a table")
        if source.suffix.lower() not in TABLE_SUFFIXES:
            raise UserError(f"{source}: a folder per class or a table (.csv, .parquet) is expected")
        return claims_of_table(source, has_labels)
    except PermissionError as error:
        raise UserError(f"{error.filename or source}: no permission to read; grant it, or choose another") from None


def _from_folder(root: Path, has_labels: bool) -> list[Claim]:
    others: Counter[str] = Counter()
    claims = []
    for path in _files(root):
        parts = path.relative_to(root).parts
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            others[path.suffix.lower() or "no suffix"] += 1
        elif has_labels and len(parts) == 1:
            logger.warning("%s lies outside of a class's folder and is left out", _readable(path))
        else:
            uri = _readable(Path(*parts))
            of_source = parts[1:] if has_labels else parts
            source_id = _readable(Path(of_source[0])) if len(of_source) > 1 else uri
            label = checked_label(_readable(Path(parts[0])), root) if has_labels else None
            claims.append(Claim(path, uri, label, source_id, may_be_link=False))
    if others:
        named = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        logger.info("files that are not video by their name are left out: %s", named)
    if not claims:
        folder = "<class>" if has_labels else "<source>"
        raise UserError(f"{root}: no video here; expected {root}/{folder}/<file>.mp4, or a table clips.csv")
    return sorted(claims, key=lambda claim: claim.uri)


def _files(folder: Path) -> Iterator[Path]:
    # Hidden files are a system's own. Folders behind symbolic links are not entered: no way out, no circle.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif not entry.is_dir():
                yield Path(entry.path)


def claims_of_table(
    path: Path, has_labels: bool, *, name: str = "", find: Callable[[str], Path] | None = None
) -> list[Claim]:
    """List the clips of a table; see :func:`read_claims`.

    Args:
        path: The table.
        has_labels: Whether it says what its clips show.
        name: What messages call it; default: its path.
        find: Gives the file that a cell of column ``path`` names, or says in a :class:`LookupError` why there is none;
            default: beside the table.

    Raises:
        UserError: It cannot be read, or contradicts itself.
    """
    name = name or str(path)
    table = _read_table(path, name)
    _check_columns(name, list(map(str, table.columns)), ("path", "label") if has_labels else ("path",))
    if table.empty:
        raise UserError(f"{name}: the table has no rows; add one for each clip")
    find = find or partial(_file_beside, path)
    rows = [_Row(name, number, row, find) for number, row in enumerate(table.to_dict("records"), start=1)]
    claims = [row.claim(has_labels) for row in rows]
    return sorted(claims, key=lambda claim: (claim.uri, claim.segment.start_s, claim.segment.key, claim.label or ""))


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
            return pd.read_parquet(path)
        # "None" or "NA" may be a label: only an empty cell is empty.
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], skipinitialspace=True)
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("its rows have more cells than its header; put quotes around cells with commas")
        return table
    except pd.errors.EmptyDataError:
        raise UserError(f"{name}: the table is empty; give it the columns path and label") from None
    except PermissionError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"{name}: this is not a readable table: {' '.join(str(error).split())}") from None


def _check_columns(name: str, columns: list[str], needed: tuple[str, ...]) -> None:
    for column in columns:
        if column not in COLUMNS:
            close = difflib.get_close_matches(column.strip().lower(), COLUMNS, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(COLUMNS)}"
            raise UserError(f"{name}: column {column!r} is unknown; {remedy}")
    for column in needed:
        if column not in columns:
            raise UserError(f"{name}: column {column!r} is missing; found {', '.join(columns)}")


class _Row:
    """One row of a table; every complaint names it."""

    def __init__(self, table: str, number: int, row: dict[Any, Any], find: Callable[[str], Path]) -> None:
        self._table = table
        self._find = find
        self._number = number
        self._row = {str(name): value for name, value in row.items() if not pd.isna(value)}

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
        label = self._text("label")
        if has_labels and not label:
            raise self._error("label is empty; name the clip's class, or remove the row")
        return checked_label(label, f"{self._table}: row {self._number}") if label else None

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
            moment = pd.to_datetime(self._row["captured_at"], utc=True).to_pydatetime()
            assert isinstance(moment, datetime)
            return moment
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


def checked_label(label: str, place: Path | str) -> str:
    """Return ``label`` where it can be the name of a class.

    Raises:
        UserError: It is a path or has control characters; the message begins with ``place``.
    """
    is_path = "/" in label or "\\" in label or label in (".", "..") or Path(label).suffix.lower() in VIDEO_SUFFIXES
    if is_path:
        raise UserError(f"{place}: label {label!r} is a path; write the name of a class, such as walk")
    if any(unicodedata.category(character) == "Cc" for character in label):
        raise UserError(f"{place}: label {label!r} has control characters; write a plain name")
    return label


def _readable(path: Path) -> str:
    # Names of files need not be text; the manifest is.
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
