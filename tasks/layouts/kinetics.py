"""Kinetics (Kay et al. 2017; 400, 600, 700): CSV lists with ``label, youtube_id, time_start, time_end, split``.

Files are called ``<youtube_id>_000059_000069.mp4`` or ``<youtube_id>_59_69.mp4``; a file ``<youtube_id>.mp4`` is the
whole video, of which the row's seconds are taken. Lists of the test set may lack the column ``label``. The video on
YouTube is the source. Much of it is gone from there: files that are missing are normal.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import checked_label
from tasks.layouts.listed import Entry, Layout, text_of
from tasks.layouts.table import SAVE
from tasks.video.clips import WHOLE, Segment

_NEEDED = ("youtube_id", "time_start", "time_end")
_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
_LONGEST_HEADER = 500


def _find(others: Sequence[Path]) -> list[Path]:
    return [path for path in others if path.suffix.lower() == ".csv" and _is_list(path)]


def _is_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = [cell.strip().strip('"') for cell in re.split("[,;\t]", file.readline(_LONGEST_HEADER))]
    return set(_NEEDED) <= set(header)


def _read(lists: Sequence[Path], official: int) -> list[Entry]:  # noqa: ARG001 - there is one official split
    return [entry for path in lists for entry in _entries(path)]


def _entries(path: Path) -> Iterator[Entry]:
    rows = csv.DictReader(text_of(path).splitlines(), skipinitialspace=True)
    if not set(_NEEDED) <= set(rows.fieldnames or ()):
        raise UserError(f"{path}: a comma should separate its cells; {SAVE}")
    for row in rows:
        place = f"{path}: row {rows.line_num}"
        cells = {str(name): str(cell or "").strip() for name, cell in row.items() if name is not None}
        video, start_s, end_s = (
            cells["youtube_id"],
            _seconds(cells, "time_start", place),
            _seconds(cells, "time_end", place),
        )
        if not video:
            raise UserError(f"{place}: youtube_id is empty; fill it, or remove the row")
        if end_s <= start_s:
            raise UserError(f"{place}: time_end ({end_s:g}) must come after time_start ({start_s:g})")
        names = (
            (f"{video}_{start_s:06.0f}_{end_s:06.0f}", WHOLE),
            (f"{video}_{start_s:g}_{end_s:g}", WHOLE),
            (video, Segment(start_s, end_s)),
        )
        label = cells.get("label", "")
        yield Entry(place, names, checked_label(label, place) if label else None, video, _split(cells, path, place))


def _seconds(cells: dict[str, str], column: str, place: str) -> float:
    try:
        seconds = float(cells[column])
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < 1e6:
        raise UserError(f"{place}: {column} is {cells[column]!r}; write seconds from the video's start, such as 59")
    return seconds


def _split(cells: dict[str, str], path: Path, place: str) -> str | None:
    said = cells.get("split", "")
    if said and said.lower() not in _SPLITS:
        raise UserError(f"{place}: split is {said!r}; write one of {', '.join(_SPLITS)}")
    of_file = next((split for word, split in _SPLITS.items() if word in path.stem.lower()), None)
    return _SPLITS.get(said.lower(), of_file)


KINETICS = Layout("kinetics", "Kinetics", "a CSV with youtube_id, time_start and time_end", _find, _read)
