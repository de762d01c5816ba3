"""How a person names where video lies: a folder or table of this machine, or a bucket."""

import re
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError

_SCHEME = "s3://"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class S3Address:
    """A place in a bucket.

    Attributes:
        bucket: Its name.
        key: What its objects' keys begin with, or the key of a table; empty for the whole bucket.
    """

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"

    @property
    def prefix(self) -> str:
        """What the keys of this folder's objects begin with: a prefix names a folder, never half of a name."""
        return self.key if not self.key or self.key.endswith("/") else f"{self.key}/"


Source = Path | S3Address


def source_at(text: str) -> Source:
    """The place that ``text`` names.

    Raises:
        UserError: It names nothing, begins with ``s3://`` and names no bucket, or is an address of another kind.
    """
    if not text.strip():
        raise UserError(f"the source is {text!r}, which names nothing; give a folder, a table, or s3://BUCKET/PREFIX")
    if (scheme := _ADDRESS.match(text)) and scheme[0].lower() != _SCHEME:
        raise UserError(
            f"{text}: {scheme[0]} is not read; give a folder or a table of this machine, or s3://BUCKET/PREFIX"
        )
    if not text.lower().startswith(_SCHEME):
        return Path(text)
    bucket, _, key = text[len(_SCHEME) :].partition("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", bucket):
        raise UserError(f"{text}: {bucket!r} is no bucket's name; write s3://BUCKET/PREFIX")
    return S3Address(bucket, key)


def demand_there(source: Source) -> None:
    """Do nothing where ``source`` lies in a bucket, which is asked later, or is here.

    Raises:
        UserError: It is not, or may not be looked at.
    """
    try:
        if isinstance(source, S3Address) or source.exists():
            return
    except PermissionError as error:
        raise UserError(f"{error.filename or source}: no permission to read; grant it, or choose another") from None
    raise UserError(f"{source}: there is no such file or folder; give a folder per class, or a table")


def absolute(text: str) -> str:
    """``text`` in a form that names the same place from every folder."""
    source = source_at(text)
    return str(source.absolute() if isinstance(source, Path) else source)
