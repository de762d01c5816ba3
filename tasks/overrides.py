"""Searched values and the sections of params.yaml that they change. Imports no torch: the search's parent needs it."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from models.errors import UserError
from models.spec import FineTuneParams, ModelParams


def searchable(model: ModelParams, job: FineTuneParams) -> dict[str, Any]:
    """What a search may vary: dotted keys, with the values that ``model`` and ``job`` have."""
    fields = {**_flat("", job.model_dump()), **_flat("head.", model.head.model_dump())}
    return {key: value for key, value in fields.items() if not isinstance(value, list | tuple)}


def _flat(prefix: str, content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(f"{prefix}{key}.", value) if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def apply_overrides(
    model: ModelParams, job: FineTuneParams, values: Mapping[str, Any]
) -> tuple[ModelParams, FineTuneParams]:
    """Put searched values into their sections.

    Args:
        model: Section whose head the keys ``head.*`` change.
        job: Section that all other keys change; ``augment.*`` reach its augmentation.
        values: By dotted key; see :func:`searchable`.

    Raises:
        UserError: There is no such field, or the value is out of its range.
    """
    known = searchable(model, job)
    model_content, job_content = model.model_dump(), job.model_dump()
    for key, value in values.items():
        if key not in known:
            raise unknown_field(key, known)
        *path, field = key.split(".")
        section: Any = model_content if path == ["head"] else job_content
        for part in path:
            section = section[part]
        section[field] = value
    try:
        return ModelParams.model_validate(model_content), type(job).model_validate(job_content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise UserError(f"params.yaml: search.space.{key}: {problem['msg']} (found {problem['input']!r})") from None


def unknown_field(key: str, known: Mapping[str, Any]) -> UserError:
    """The error for a key that is not among ``known``; it names the nearest."""
    close = difflib.get_close_matches(key, known, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    return UserError(f"params.yaml: search.space.{key}: there is no such field to search; {remedy}")
