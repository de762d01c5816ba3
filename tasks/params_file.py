"""Reading params.yaml, and saying what is wrong with it."""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from models.errors import UserError
from models.spec import Section
from tasks.params.whole import Params

PARAMS_FILE = Path("params.yaml")


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check params.yaml.

    Raises:
        UserError: The file is missing, is not YAML, has an unknown key or a value out of range; the message names the
            file, the key and the remedy.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; run from the project's folder") from None
    except _KeyTwiceError as error:
        raise UserError(f"{path}: {error}; remove one of them") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected sections such as base, model and fine_tune; restore the file from Git")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError("; ".join(_explain(path, problem) for problem in error.errors())) from None


class _KeyTwiceError(yaml.YAMLError):
    """A mapping has two values for one key."""


class _Loader(yaml.SafeLoader):
    """PyYAML's takes the last of two equal keys, and what the first says is lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in lines:
                raise _KeyTwiceError(f"{name} is there twice, in lines {lines[name]} and {line}")
            lines[name] = line
        return dict(super().construct_mapping(node, deep))


def _explain(path: Path, problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{path}: {key}: unknown key; {remedy}"
    if problem["type"] == "missing":
        return f"{path}: {key}: this key is missing; add it"
    found = "" if isinstance(problem["input"], dict) else f" (found {problem['input']!r})"
    return f"{path}: {key}: {problem['msg'].removeprefix('Value error, ')}{found}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    section: type[Section] = Params
    for part in location:
        field = next((f for name, f in section.model_fields.items() if (f.alias or name) == part), None)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, Section):
            return []
        section = field.annotation
    return [field.alias or name for name, field in section.model_fields.items()]
