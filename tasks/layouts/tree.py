"""What lies in a folder: its video, and the other files, among which lists of clips may be."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.layouts.claim import VIDEO_SUFFIXES, readable


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
    """Walk ``root``. Hidden files are passed over: they are a system's own."""
    videos: list[Path] = []
    others: list[Path] = []
    for path in _files(root):
        (videos if path.suffix.lower() in VIDEO_SUFFIXES else others).append(path)
    return Tree(root, sorted(videos), sorted(others))


def _files(folder: Path) -> Iterator[Path]:
    # Folders behind symbolic links are not entered: no way out, no circle.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif not entry.is_dir():
                yield Path(entry.path)
