"""Lists of boxes, such as AVA's, say who does what where in a frame. They are recognised in order to be refused."""

import re
from collections.abc import Iterable
from pathlib import Path

from models.errors import UserError

_AVA = re.compile(r"(?:ava|kinetics)_(?:train|val|test)_v\d[\w.]*\.csv", re.IGNORECASE)
_BOX_COLUMNS = frozenset(("bbox", "box", "x1", "x_min", "xmin", "xtl"))
_LONGEST_ROW = 500
_NUM_CELLS = (7, 8)
_CORNERS = slice(2, 6)


def refuse_boxes(paths: Iterable[Path]) -> None:
    """Do nothing where none of ``paths`` is a list of boxes.

    Raises:
        UserError: One is.
    """
    for path in paths:
        if path.suffix.lower() == ".csv" and (_AVA.fullmatch(path.name) or _has_corners(path)):
            raise UserError(f"{path}: row 1: {boxes_refused()}")


def are_boxes(column: str) -> bool:
    """Whether a table's column is the corner of a box."""
    return column.strip().lower() in _BOX_COLUMNS


def boxes_refused() -> str:
    """Why boxes are not taken, and what to do instead."""
    return (
        "boxes say who does what where in a frame (as AVA does), and videoloop learns what a whole clip shows; give a "
        "table with path, label, start_s and end_s, with the film cut out around each person where that matters"
    )


def _has_corners(path: Path) -> bool:
    """Whether the first row is like ``-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1``."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        cells = file.readline(_LONGEST_ROW).strip().split(",")
    try:
        return len(cells) in _NUM_CELLS and all(0.0 <= float(cell) <= 1.0 for cell in cells[_CORNERS])
    except ValueError:
        return False
