"""What a person hands over, and how it lies there. Nothing is decoded here, and nothing is written."""

import logging
from collections.abc import Sequence
from pathlib import Path

from models.errors import UserError
from tasks.layouts.boxes import refuse_boxes
from tasks.layouts.claim import Claim
from tasks.layouts.cvat import CVAT
from tasks.layouts.folder import read_folder
from tasks.layouts.hmdb51 import HMDB51
from tasks.layouts.kinetics import KINETICS
from tasks.layouts.label_studio import LABEL_STUDIO
from tasks.layouts.listed import Layout, read_lists
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.layouts.something import SOMETHING
from tasks.layouts.table import TABLE_NAMES, TABLE_SUFFIXES, read_table
from tasks.layouts.tree import tree_of
from tasks.layouts.ucf101 import UCF101
from tasks.params.data import LayoutName, SplitParams
from tasks.sources.address import demand_there

logger = logging.getLogger(__name__)

_LISTED = {layout.name: layout for layout in (UCF101, HMDB51, KINETICS, SOMETHING, CVAT, LABEL_STUDIO)}
# Lists lie beside the videos' folders, not among a million files.
LIST_DEPTH = 3


def read_claims(
    source: Path,
    *,
    has_labels: bool = True,
    layout: LayoutName = "auto",
    official: int = 1,
    split: SplitParams | None = None,
    rule: LabelRule = ONE_LABEL,
) -> list[Claim]:
    """List the clips of ``source``, in a stable order.

    A folder that holds ``clips.csv`` or ``clips.parquet`` is read as that table; one with the lists of a well-known
    dataset as that; any other as a folder per class. What it is read as is said.

    Args:
        source: The folder, the table, or the list; ``tasks/layouts`` says how each is read.
        has_labels: Whether it says what its clips show.
        layout: How it lies there; ``auto`` looks.
        official: Which of a dataset's official splits counts.
        split: Section ``split``; with ``by: given`` clips that are in no official split are left out, and clips to
            validate on are held out of those to train on where there are none.
        rule: How many labels a clip may have.

    Raises:
        UserError: There is nothing to read, or it contradicts itself; the message names the place and a remedy.
    """
    try:
        demand_there(source)
        if (table := _table(source, layout)) is not None:
            refuse_boxes([table])
            logger.info("%s: read as a table of clips", table)
            return read_table(table, has_labels=has_labels, rule=rule)
        tree = tree_of(source if source.is_dir() else source.parent)
        near = [path for path in tree.others if len(path.relative_to(tree.root).parts) <= LIST_DEPTH]
        found, lists = recognised(str(source), near if source.is_dir() else [source], layout)
        if found is None:
            logger.info("%s: read as a folder per %s", source, "class" if has_labels else "source")
            return read_folder(tree, has_labels=has_labels, rule=rule)
        return read_lists(found, lists, tree, has_labels=has_labels, official=official, split=split, rule=rule)
    except PermissionError as error:
        raise UserError(f"{error.filename or source}: no permission to read; grant it, or choose another") from None


def _table(source: Path, layout: LayoutName) -> Path | None:
    """The table that ``source`` is or holds, where it is to be read as one."""
    if layout not in ("auto", "table"):
        return None
    if source.is_dir():
        table = next((source / name for name in TABLE_NAMES if (source / name).is_file()), None)
        if table is None and layout == "table":
            raise no_table(str(source))
        return table
    if layout == "auto" and is_list(source):
        return None
    if source.suffix.lower() not in TABLE_SUFFIXES:
        raise neither(str(source))
    return source


def is_list(path: Path) -> bool:
    """Whether a file is a list of a well-known dataset."""
    return any(known.find([path]) for known in _LISTED.values())


def neither(source: str) -> UserError:
    """What is said of a file that is neither a table nor a list."""
    return UserError(f"{source}: a folder per class or a table (.csv, .parquet) is expected")


def no_table(source: str) -> UserError:
    """What is said of a folder that is to have a table and has none."""
    return UserError(f"{source}: there is no table here; name it {' or '.join(TABLE_NAMES)}, or give its path")


def recognised(source: str, candidates: Sequence[Path], layout: LayoutName) -> tuple[Layout | None, list[Path]]:
    """The layout whose lists are among ``candidates``, and the lists; None for a folder per class.

    Args:
        source: What messages call the place.
        candidates: Files that may be lists.
        layout: Which layout it is to be; ``auto`` looks.

    Raises:
        UserError: The lists of the wanted layout are missing, lists of two layouts lie there, or boxes.
    """
    if layout == "folder":
        return None, []
    if layout != "auto":
        wanted = _LISTED[layout]
        if not (lists := wanted.find(candidates)):
            raise UserError(
                f"{source}: {wanted.title} has {wanted.lists}, and none is here; set --layout to what it is"
            )
        return wanted, lists
    found = [(known, lists) for known in _LISTED.values() if (lists := known.find(candidates))]
    if len(found) > 1:
        titles, names = " and ".join(known.title for known, _ in found), " or ".join(known.name for known, _ in found)
        raise UserError(f"{source}: the lists of {titles} lie here; say which counts: --layout {names}")
    if not found:
        refuse_boxes(candidates)
    return found[0] if found else (None, [])
