"""Tables that people open in a spreadsheet: nothing in them is a formula, and what they type is read back as typed."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError

SKIP = "?"
"""What a person writes where nobody can tell."""

# What makes a spreadsheet take a cell for a formula, full-width forms and leading white space included.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ESCAPE = "'"
# With this mark Excel reads UTF-8 instead of guessing.
_ENCODING = "utf-8-sig"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        number: As a spreadsheet counts: the header is row 1.
        cells: Text by column, without white space around it.
    """

    number: int
    cells: dict[str, str]


def inert(text: str) -> str:
    """Text that a spreadsheet shows and leaves alone; :func:`plain` gives it back.

    An apostrophe goes before what would be a formula (OWASP, "CSV Injection") or would be rewritten as a number, such
    as an identity that happens to be all digits.
    """
    risky = text.lstrip(" ").startswith(_FORMULA) or text.startswith(_ESCAPE) or _is_number(text)
    return _ESCAPE + text if risky else text


def plain(cell: str) -> str:
    """What :func:`inert` was given."""
    return cell.removeprefix(_ESCAPE)


def table_text(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A table as CSV; every cell is quoted, so that no separator in a name makes another cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_text(text: str, path: Path) -> None:
    """Write CSV as spreadsheets read it."""
    path.write_bytes(text.encode(_ENCODING))


def read_rows(path: Path, needed: Sequence[str]) -> list[Row]:
    """Read a CSV table as spreadsheets save it: with commas, semicolons or tabs; rows without any text are left out.

    Raises:
        UserError: It is not a readable table, or lacks one of the ``needed`` columns.
    """
    try:
        text = path.read_bytes().decode(_ENCODING)
        if "\0" in text:
            raise ValueError("it has zero bytes")
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True))
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is not UTF-8; save it as 'CSV UTF-8 (comma delimited)'") from None
    except (csv.Error, ValueError) as error:
        raise UserError(f"{path}: this is not a readable table ({error}); save it as CSV") from None
    except OSError as error:
        raise UserError(f"{path}: this cannot be read: {(error.strerror or 'input/output error').lower()}") from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    for column in needed:
        if header.count(column) != 1:
            problem = "is there twice" if column in header else "is missing"
            raise UserError(f"{path}: row 1: column {column} {problem}; keep the header as it was asked with")
    return [
        Row(number, {name: cell.strip() for name, cell in zip(header, cells, strict=False)})
        for number, cells in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in cells)
    ]


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
