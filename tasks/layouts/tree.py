"""What lies in a folder: its video, and the other files, among which lists of clips may be."""

import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.layouts.claim import VIDEO_SUFFIXES, readable

logger = logging.getLogger(__name__)

_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Tree:
    """The files below ``root``.

    Attributes:
        root: The folder.
        videos: Files that are video by their name.
        others: All other files.
        title: What messages call ``root`` where it is no folder of this machine.
        said: Puts what a list's message calls places into the words of where the list came from.
    """

    root: Path
    videos: list[Path]
    others: list[Path]
    title: str = ""
    said: Callable[[str], str] = str

    @cached_property
    def by_stem(self) -> dict[str, list[Path]]:
        """Video by its name without suffix: lists name ``x.avi``, and it may have been converted to ``x.mp4``."""
        found: dict[str, list[Path]] = defaultdict(list)
        for path in self.videos:
            found[path.stem].append(path)
        return found

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.title or str(self.root)

    def uri(self, path: Path) -> str:
        """The name of a file in the manifest."""
        return readable(path.relative_to(self.root))


def tree_of(root: Path) -> Tree:
    """Walk ``root``. Hidden files are passed over: they are a system's own.

    Folders behind symbolic links are not entered: no way out, no circle. They are said.
    """
    videos: list[Path] = []
    others: list[Path] = []
    linked: list[Path] = []
    for path in _files(root, linked):
        (videos if path.suffix.lower() in VIDEO_SUFFIXES else others).append(path)
    tree = Tree(root, sorted(videos), sorted(others))
    if linked:
        named = ", ".join(tree.uri(path) for path in sorted(linked)[:_NAMED_AT_MOST])
        more = ", ..." if len(linked) > _NAMED_AT_MOST else ""
        logger.warning(
            "%d folders are symbolic links and are left out: %s%s; put the folders themselves here, or name their "
            "files in a table",
            len(linked),
            named,
            more,
        )
    return tree


def _files(folder: Path, linked: list[Path]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), linked)
            elif entry.is_dir():
                linked.append(Path(entry.path))
            else:
                yield Path(entry.path)
