"""What a person hands over: a folder per class, or a table. Nothing is decoded here, and nothing is written."""

from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.layouts.folder import read_folder
from tasks.layouts.table import TABLE_NAMES, TABLE_SUFFIXES, read_table
from tasks.layouts.tree import tree_of


def read_claims(source: Path, *, has_labels: bool = True) -> list[Claim]:
    """List the clips of ``source``, in a stable order.

    A folder that holds ``clips.csv`` or ``clips.parquet`` is read as that table.

    Args:
        source: The folder or the table; see :func:`tasks.layouts.folder.read_folder` and
            :func:`tasks.layouts.table.read_table`.
        has_labels: Whether it says what its clips show.

    Raises:
        UserError: There is nothing to read, or the table contradicts itself; the message names the place and a remedy.
    """
    try:
        if source.is_dir():
            tables = [source / name for name in TABLE_NAMES if (source / name).is_file()]
            if tables:
                return read_table(tables[0], has_labels=has_labels)
            return read_folder(tree_of(source), has_labels=has_labels)
        if not source.exists():
            raise UserError(f"{source}: there is no such file or folder; give a folder per class, or a table")
        if source.suffix.lower() not in TABLE_SUFFIXES:
            raise UserError(f"{source}: a folder per class or a table (.csv, .parquet) is expected")
        return read_table(source, has_labels=has_labels)
    except PermissionError as error:
        raise UserError(f"{error.filename or source}: no permission to read; grant it, or choose another") from None
