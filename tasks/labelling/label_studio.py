"""Label Studio's formats: tasks to import, the labelling interface, and what comes back in its JSON export."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from models.errors import UserError
from tasks.report.environment import visible

_CHOICE, _VIDEO = "label", "video"


def task(film: str, facts: dict[str, Any], predicted: Sequence[str]) -> dict[str, Any]:
    """A task to import, with what the model predicted filled in.

    Args:
        film: Path of the clip's file below Label Studio's document root.
        facts: Columns of the row in ``labels.csv``, as text.
        predicted: The labels that the model gives the clip.
    """
    chosen = {"from_name": _CHOICE, "to_name": _VIDEO, "type": "choices", "value": {"choices": list(predicted)}}
    return {
        "data": {_VIDEO: f"/data/local-files/?d={film}", **facts},
        "predictions": [
            {
                "model_version": "videoloop",
                "score": float(facts["confidence"]),
                "result": [chosen] if predicted else [],
            }
        ],
    }


def interface(labels: Sequence[str], *, several: bool = False) -> str:
    """The labelling interface for video classification, as XML.

    Args:
        labels: That are offered.
        several: Whether a clip may have several, or none of them.
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Video", name=_VIDEO, value=f"${_VIDEO}")
    choice, required = ("multiple", "false") if several else ("single", "true")
    choices = ElementTree.SubElement(
        view, "Choices", name=_CHOICE, toName=_VIDEO, choice=choice, showInline="true", required=required
    )
    for label in labels:
        ElementTree.SubElement(choices, "Choice", value=visible(label))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


@dataclass(frozen=True)
class Annotated:
    """What people said about one task.

    Attributes:
        place: Where the export says so, for messages.
        clip_id: Which clip it is; empty where the export does not say.
        data: What the task shows.
        answers: The labels that each annotation names, of those that count.
    """

    place: str
    clip_id: str
    data: dict[str, Any]
    answers: list[tuple[str, ...]]


def read_export(path: Path, *, control: str | None = _CHOICE) -> list[Annotated]:
    """Read a JSON export. Cancelled (skipped) annotations do not count; where some are ground truth, only they do.

    Args:
        path: The export.
        control: The name of the choices that count; None for those of any name.

    Raises:
        UserError: It is no such export; the message names the task.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: this is not JSON ({error}); export from Label Studio as JSON") from None
    except OSError as error:
        raise UserError(f"{path}: this cannot be read: {(error.strerror or 'input/output error').lower()}") from None
    if not isinstance(tasks, list):
        raise UserError(f"{path}: a list of tasks is expected; export from Label Studio as JSON")
    return [_annotated(entry, f"{path}: task {_number(entry, at)}", control) for at, entry in enumerate(tasks, start=1)]


def _number(entry: Any, at: int) -> Any:
    return entry["id"] if isinstance(entry, dict) and isinstance(entry.get("id"), int) else at


def _annotated(entry: Any, place: str, control: str | None) -> Annotated:
    try:
        clip_id = entry["data"].get("clip_id", "")
        annotations = [one for one in entry["annotations"] if not one.get("was_cancelled")]
        decisive = [one for one in annotations if one.get("ground_truth")] or annotations
        answers = [_answer(one["result"], place, control) for one in decisive]
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{place}: this has no data and annotations as Label Studio's JSON has; export as JSON, not as JSON-MIN"
        ) from None
    return Annotated(place, clip_id if isinstance(clip_id, str) else "", entry["data"], answers)


def _answer(result: list[dict[str, Any]], place: str, control: str | None) -> tuple[str, ...]:
    if control is None and (where := next((one["type"] for one in result if _says_where(one["type"])), "")):
        raise UserError(
            f"{place}: a result of type {where!r} is not for the whole film; give a table with path, label, start_s "
            "and end_s instead"
        )
    counts = [one for one in result if (one.get("from_name") == control if control else one["type"] == "choices")]
    return tuple(str(label).strip() for one in counts for label in one["value"]["choices"])


def _says_where(kind: str) -> bool:
    """Whether results of this type are for frames or parts of them, which have no time."""
    return kind.endswith("labels") or "rectangle" in kind
