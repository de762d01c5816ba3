"""UCF101 (Soomro et al. 2012): ``classInd.txt``, ``trainlist01.txt`` and ``testlist01.txt``, and so on to 03.

Videos are ``<Class>/v_<Class>_g08_c01.avi``. Clips of one group (g08) of a class were cut from the same video: it is
their source.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import checked_label
from tasks.layouts.listed import Entry, Layout, by_name, rows_of, whole

_LIST = re.compile(r"(?:train|test)list\d\d\.txt")
_CLASSES = "classInd.txt"
_ROW = re.compile(r"(?P<label>[^/\\]+)/(?P<name>(?P<source>[^/\\]+_g\d+)_c\d+)\.\w+(?:\s+(?P<index>\d+))?")


def _find(others: Sequence[Path]) -> list[Path]:
    lists = [path for path in others if _LIST.fullmatch(path.name)]
    return [*lists, *(path for path in others if path.name == _CLASSES)] if lists else []


def _read(lists: Sequence[Path], official: int) -> list[Entry]:
    found = by_name(lists)
    index = _index(found[_CLASSES]) if _CLASSES in found else {}
    return [entry for split in ("train", "test") for entry in _entries(_needed(found, split, official), split, index)]


def _needed(found: dict[str, Path], split: str, official: int) -> Path:
    name = f"{split}list{official:02d}.txt"
    if name not in found:
        some = next(path for path in found.values() if path.name != _CLASSES)
        raise UserError(
            f"{some.parent / name}: this list is missing; unpack it, or set ingest.official_split in params.yaml to "
            f"one that is here ({', '.join(sorted(set(found) - {_CLASSES}))})"
        )
    return found[name]


def _index(path: Path) -> dict[str, str]:
    index: dict[str, str] = {}
    for place, row in rows_of(path):
        number, _, label = row.partition(" ")
        if not number.isdigit() or not label:
            raise UserError(f"{place}: {row!r} is not a number and a class, such as 1 ApplyEyeMakeup; correct it")
        index[label.strip()] = number
    return index


def _entries(path: Path, split: str, index: dict[str, str]) -> list[Entry]:
    entries = []
    for place, row in rows_of(path):
        if not (match := _ROW.fullmatch(row)):
            raise UserError(f"{place}: {row!r} is not like ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi; correct it")
        label = checked_label(match["label"], place)
        if index and label not in index:
            raise UserError(f"{place}: class {label!r} is not in {_CLASSES}; correct one of the two")
        if index and match["index"] not in (None, index[label]):
            raise UserError(f"{place}: class {label!r} is {index[label]} in {_CLASSES}, and {match['index']} here")
        entries.append(Entry(place, whole(match["name"]), label, match["source"], split, folder=label))
    return entries


UCF101 = Layout("ucf101", "UCF101", "trainlist01.txt and testlist01.txt", _find, _read)
