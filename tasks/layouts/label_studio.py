"""Label Studio's JSON export of films that people classified: one choice is the whole film's class.

Where clips may have several labels, all choices are the film's, and an annotation that chooses none says that it shows
none of them; who cannot tell skips the task.

Timelines and boxes count frames, and a frame of film with a variable rate has no time; they are refused.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from models.errors import UserError
from tasks.labelling.label_studio import Annotated, read_export
from tasks.layouts.claim import VIDEO_SUFFIXES
from tasks.layouts.listed import Entry, Layout, text_of, whole

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?P<name>.+)")
_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*\{")
_HEAD_BYTES = 100


def _find(others: Sequence[Path]) -> list[Path]:
    return [path for path in others if path.suffix.lower() == ".json" and _is_export(path)]


def _is_export(path: Path) -> bool:
    with path.open("rb") as file:
        if not _HEAD.match(file.read(_HEAD_BYTES)):
            return False
    try:
        first = json.loads(text_of(path))[0]
    except (UserError, ValueError, RecursionError):
        return False
    return isinstance(first.get("data"), dict) and isinstance(first.get("annotations"), list)


def _read(lists: Sequence[Path], official: int) -> list[Entry]:  # noqa: ARG001 - it has no official splits
    return [_entry(task) for path in lists for task in read_export(path, control=None)]


def _entry(task: Annotated) -> Entry:
    film = next(_films(task), None)
    if film is None:
        raise UserError(f"{task.place}: its data names no video file; give each film a task of its own")
    uploaded = _UPLOADED.fullmatch(film)  # an upload's name begins with eight digits that it had not before
    names = whole(film) + (whole(uploaded["name"]) if uploaded else ())
    return Entry(task.place, names, None, "", None, answers=tuple(task.answers))


def _films(task: Annotated) -> Iterator[str]:
    for address in task.data.values():
        parts = urlsplit(address) if isinstance(address, str) else urlsplit("")
        name = PurePosixPath(parse_qs(parts.query).get("d", [unquote(parts.path)])[0])
        if name.suffix.lower() in VIDEO_SUFFIXES:
            yield name.stem


LABEL_STUDIO = Layout("label_studio", "Label Studio's choices", "a JSON export", _find, _read)
