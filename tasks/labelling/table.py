"""The label table, ``person_labels.csv``: which label people gave which clip. It lies in Git, beside params.yaml.

docs/decisions/0010-labelling.md says why. Ingest puts it on the manifest; :mod:`tasks.labelling.receive` adds to it.
"""

from collections.abc import Mapping
from pathlib import Path

from models.errors import UserError
from models.files import replacing
from tasks.labelling.cells import inert, plain, read_rows, table_text, write_text

_COLUMNS = ("clip_id", "label")


def read_label_table(path: Path) -> dict[str, str]:
    """Labels by clip_id; none where there is no table.

    Raises:
        UserError: It is damaged, as by a merge; the message names the row.
    """
    if not path.exists():
        return {}
    labels: dict[str, str] = {}
    for row in read_rows(path, _COLUMNS):
        clip_id, label = (plain(row.cells.get(column, "")) for column in _COLUMNS)
        if not clip_id or not label:
            raise UserError(f"{path}: row {row.number}: clip_id or label is empty; restore the row from Git")
        if labels.setdefault(clip_id, label) != label:
            raise UserError(
                f"{path}: row {row.number}: clip {clip_id} is {label!r} here and {labels[clip_id]!r} above; keep one"
            )
    return labels


def write_label_table(labels: Mapping[str, str], path: Path) -> None:
    """Write the table in order of identity, all or nothing: the same labels give the same bytes."""
    rows = [{"clip_id": inert(clip_id), "label": inert(labels[clip_id])} for clip_id in sorted(labels)]
    with replacing(path) as temporary:
        write_text(table_text(_COLUMNS, rows), temporary)
