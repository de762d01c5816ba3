"""What every layout is read into: claims about clips. Nothing is decoded here."""

import os
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.errors import UserError
from tasks.video.clips import WHOLE, Segment

# Also what is refused later, so that quarantine names it; other files, such as notes, are passed over.
VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".ts", ".webm", ".wmv")
)


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
        split: The source's wish for ``split.by: given``.
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

    @property
    def order(self) -> tuple[str, float, str, str]:
        """Sorts the claims of a source, whatever order it names them in."""
        return self.uri, self.segment.start_s, self.segment.key, self.label or ""


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


def readable(path: Path) -> str:
    """``path`` as text: names of files need not be text, and the manifest is."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
