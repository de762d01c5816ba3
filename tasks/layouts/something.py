"""Something-Something v2 (Goyal et al. 2017): JSON lists ``labels``, ``train``, ``validation`` and ``test``.

They may be called ``something-something-v2-train.json`` too. A clip is ``<id>.webm``; its class is the template
without brackets, which must be in ``labels.json``. The test's labels are in ``test-answers.csv`` (``id;label``) where
that was published. Who recorded a clip is not: each is its own source.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.errors import UserError
from tasks.layouts.claim import checked_label
from tasks.layouts.listed import Entry, Layout, rows_of, text_of, whole

_LIST = re.compile(r"(?:something-something-v2-)?(?P<kind>(?:labels|train|validation|test)\.json|test-answers\.csv)")
_SPLITS = {"train.json": "train", "validation.json": "val", "test.json": "test"}
_LABELS, _ANSWERS = "labels.json", "test-answers.csv"


def _find(others: Sequence[Path]) -> list[Path]:
    kinds = [(path, match["kind"]) for path in others if (match := _LIST.fullmatch(path.name))]
    names = {kind for _, kind in kinds}
    is_one = names & _SPLITS.keys() and any(kind == _LABELS and _has_classes(path) for path, kind in kinds)
    return [path for path, _ in kinds] if is_one else []


def _has_classes(path: Path) -> bool:
    # Other datasets have a labels.json too: this one's says the number of each class. A damaged one may be this.
    try:
        content = _json(path)
    except UserError:
        return True
    return isinstance(content, dict) and all(str(index).isdigit() for index in content.values())


def _read(lists: Sequence[Path], official: int) -> list[Entry]:  # noqa: ARG001 - there is one official split
    kinds: dict[str, Path] = {}
    for path in lists:
        match = _LIST.fullmatch(path.name)
        assert match
        if (other := kinds.setdefault(match["kind"], path)) != path:
            raise UserError(f"{path}: {other} is the same list; keep one of them")
    labels = _json(kinds[_LABELS])
    answers = _answers(kinds[_ANSWERS], labels) if _ANSWERS in kinds else {}
    return [
        _entry(item, f"{path}: entry {number}", _SPLITS[kind], labels, answers)
        for kind, path in kinds.items()
        if kind in _SPLITS
        for number, item in enumerate(_items(path), start=1)
    ]


def _items(path: Path) -> list[Any]:
    content = _json(path)
    if not isinstance(content, list):
        raise UserError(f"{path}: a list of clips is expected; unpack the dataset's lists again")
    return content


def _entry(item: Any, place: str, split: str, labels: dict[str, Any], answers: dict[str, str]) -> Entry:
    if not isinstance(item, dict) or not str(item.get("id", "")).strip():
        raise UserError(f"{place}: the clip has no id; correct the entry, or remove it")
    name = str(item["id"]).strip()
    label: str | None
    if "template" in item:
        label = _known(re.sub(r"[\[\]]", "", str(item["template"])), labels, place)
    elif split == "test":
        label = answers.get(name)
    else:
        raise UserError(f"{place}: the clip has no template; correct the entry, or remove it")
    return Entry(place, whole(name), label, "", split)


def _answers(path: Path, labels: dict[str, Any]) -> dict[str, str]:
    answers = {}
    for place, row in rows_of(path):
        name, _, label = row.partition(";")
        answers[name.strip()] = _known(label.strip(), labels, place)
    return answers


def _known(label: str, labels: dict[str, Any], place: str) -> str:
    if label not in labels:
        raise UserError(f"{place}: class {label!r} is not in {_LABELS}; correct one of the two")
    return checked_label(label, place)


def _json(path: Path) -> Any:
    try:
        return json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: this is not JSON ({error}); unpack the dataset's lists again") from None


SOMETHING = Layout(
    "something", "Something-Something v2", "labels.json with train.json or validation.json", _find, _read
)
