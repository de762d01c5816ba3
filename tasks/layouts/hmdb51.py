"""HMDB51 (Kuehne et al. 2011): ``<class>_test_split1.txt`` to 3, with rows ``<file>.avi 0``, 1 (train) or 2 (test).

A clip that is 0 belongs to no side of that split. Names are ``<film>_<class>_f_cm_np1_fr_med_0.avi``: visible body
parts, camera motion, people, direction and quality after the class. The film is the source.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import checked_label
from tasks.layouts.listed import Entry, Layout, by_name, rows_of, whole

_LIST = re.compile(r"(?P<label>.+)_test_split(?P<number>\d)\.txt")
_ROW = re.compile(r"(?P<name>.+)\.\w+\s+(?P<side>[012])")
_ASPECTS = r"_[fhlu]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:goo|med|bad)_\d+"
_SIDES = {"0": None, "1": "train", "2": "test"}


def _find(others: Sequence[Path]) -> list[Path]:
    return [path for path in others if _LIST.fullmatch(path.name)]


def _read(lists: Sequence[Path], official: int) -> list[Entry]:
    wanted = [path for path in by_name(lists).values() if path.stem.endswith(f"_test_split{official}")]
    if not wanted:
        raise UserError(
            f"{lists[0].parent}: no list ends in _test_split{official}.txt; unpack them, or set ingest.official_split "
            "in params.yaml to one that is here"
        )
    return [entry for path in wanted for entry in _entries(path)]


def _entries(path: Path) -> list[Entry]:
    named = _LIST.fullmatch(path.name)
    assert named
    label = checked_label(named["label"], path)
    film = re.compile(rf"(?P<film>.+)_{re.escape(label)}{_ASPECTS}")
    entries = []
    for place, row in rows_of(path):
        if not (match := _ROW.fullmatch(row)):
            raise UserError(f"{place}: {row!r} is not a file and 0, 1 or 2, such as x_{label}_f_cm_np1_fr_med_0.avi 1")
        of_film = film.fullmatch(match["name"])
        source = of_film["film"] if of_film else ""
        entries.append(Entry(place, whole(match["name"]), label, source, _SIDES[match["side"]], folder=label))
    return entries


HMDB51 = Layout("hmdb51", "HMDB51", "<class>_test_split1.txt", _find, _read)
