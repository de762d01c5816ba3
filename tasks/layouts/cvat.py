"""CVAT's XML 1.1, "CVAT for images": tags say what a whole film shows.

A tag lies on a frame and has no time, so it counts for the film of its task: one class on any of its frames is the
film's class, or where clips may have several labels, one of them. Shapes and tracks say where something is, which no
classifier of clips can learn from; they are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from models.errors import UserError
from tasks.layouts.listed import Entry, Layout, whole

_SHAPES = frozenset(("box", "cuboid", "ellipse", "mask", "points", "polygon", "polyline", "skeleton", "track"))
_ROOT = re.compile(rb"<annotations[\s>]")
_PROLOGUE_BYTES = 4096


@dataclass(frozen=True)
class Film:
    """A task of CVAT: one film and what people tagged in it.

    Attributes:
        place: Where the export says so, and what it says where that is much, for messages.
        name: The film's file.
        labels: In order of their first frames; none where nothing is tagged.
    """

    place: str
    name: str
    labels: tuple[str, ...]


def read_films(path: Path) -> list[Film]:
    """Read the export of a task or a project.

    Raises:
        UserError: It is no such export, or has shapes; the message names the task.
    """
    export = _Export(path)
    parser = ElementTree.XMLParser(target=export)
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                parser.feed(chunk)
        parser.close()
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: this is not XML ({error}); export from CVAT as CVAT for images 1.1") from None
    except PermissionError:
        raise
    except OSError as error:
        raise UserError(f"{path}: this cannot be read: {(error.strerror or 'input/output error').lower()}") from None
    if not export.tasks:
        raise UserError(f"{path}: there is no task in it; export from CVAT as CVAT for images 1.1")
    return [task.film(path) for task in export.tasks.values()]


@dataclass
class _Task:
    number: str
    name: str = ""
    source: str = ""
    frames: dict[str, str] = field(default_factory=dict)

    def film(self, path: Path) -> Film:
        place = f"{path}: task {self.number} ({self.name})"
        if not self.source:
            raise UserError(f"{place}: this task has images and not a film; make a task of each film, and tag that")
        if len(self.frames) > 1:
            (first, at), (second, then) = list(self.frames.items())[:2]
            place = f"{place}: {self.source} is tagged {first!r} at frame {at} and {second!r} at frame {then}"
        return Film(place, self.source, tuple(self.frames))


class _Export:
    """What the parser calls; keeps the tasks and the first frame of each class, and no tree."""

    def __init__(self, path: Path) -> None:
        self.tasks: dict[str, _Task] = {}
        self._path = path
        self._open: list[str] = []
        self._text = ""
        self._task: _Task | None = None
        self._of_image: str | None = None
        self._frame = ""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:  # noqa: ARG002
        raise UserError(f"{self._path}: XML with a document type is not read; export from CVAT anew")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag != "annotations":
            raise UserError(f"{self._path}: <{tag}> is not how CVAT's XML begins; export as CVAT for images 1.1")
        if tag in _SHAPES:
            raise UserError(
                f"{self._path}: {tag} of label {attributes.get('label', '')!r}: it says where something is, and "
                "videoloop learns what a whole clip shows; tag the film, and delete shapes and tracks"
            )
        if tag == "task":
            self._task = _Task("")
        elif tag == "image":
            self._of_image, self._frame = attributes.get("task_id", ""), attributes.get("id", "")
        elif tag == "tag" and self._of_image is not None:
            self._tagged(attributes.get("label", "").strip())
        self._open.append(tag)
        self._text = ""

    def data(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        self._open.pop()
        text, inside = self._text.strip(), self._open[-1] if self._open else ""
        if self._task is not None and inside == "task" and tag in ("id", "name", "source"):
            setattr(self._task, {"id": "number"}.get(tag, tag), text)
        elif tag == "source" and inside == "meta" and len(self.tasks) == 1:  # as CVAT wrote it before 2.5
            next(iter(self.tasks.values())).source = text
        elif tag == "task" and self._task is not None:
            self.tasks[self._task.number] = self._task
            self._task = None
        elif tag == "image":
            self._of_image = None
        self._text = ""

    def _tagged(self, label: str) -> None:
        task = self.tasks.get(self._of_image or next(iter(self.tasks), ""))
        if task is None or not label:
            raise UserError(
                f"{self._path}: a tag of frame {self._frame} has no label or no task; export from CVAT anew"
            )
        task.frames.setdefault(label, self._frame)

    def close(self) -> None:
        """Nothing is left to do."""


def _find(others: Sequence[Path]) -> list[Path]:
    return [path for path in others if path.suffix.lower() == ".xml" and _is_export(path)]


def _is_export(path: Path) -> bool:
    with path.open("rb") as file:
        return _ROOT.search(file.read(_PROLOGUE_BYTES)) is not None


def _read(lists: Sequence[Path], official: int) -> list[Entry]:  # noqa: ARG001 - it has no official splits
    return [
        Entry(
            film.place,
            whole(Path(film.name).stem),
            None,
            "",
            None,
            answers=(film.labels,) if film.labels else (),
        )
        for path in lists
        for film in read_films(path)
    ]


CVAT = Layout("cvat", "CVAT's tags", "an XML export (CVAT for images 1.1)", _find, _read)
