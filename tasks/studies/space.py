"""The search space of params.yaml as Optuna's distributions, checked before the first trial starts."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from models.errors import UserError
from models.spec import FineTuneParams, ModelParams
from tasks import layout
from tasks.overrides import apply_overrides, searchable, unknown_field
from tasks.params.training import Choice, FloatRange, SearchParams


def distributions(model: ModelParams, params: SearchParams) -> dict[str, BaseDistribution]:
    """The distribution of each searched field.

    Raises:
        UserError: A field does not exist, a bound or a choice is not allowed for it, or the default configuration,
            which is always among the trials, lies outside.
    """
    defaults = default_values(model, params)
    space = {key: _distribution(key, entry, defaults[key]) for key, entry in params.space.items()}
    for key, entry in params.space.items():
        for value in entry.choices if isinstance(entry, Choice) else (entry.low, entry.high):
            apply_overrides(model, params.job, {key: _as_field(key, value, defaults[key])})
    return space


def default_values(model: ModelParams, params: SearchParams) -> dict[str, Any]:
    """The default configuration: what ``model`` and ``search.job`` say of each searched field.

    Raises:
        UserError: A field does not exist.
    """
    known = searchable(model, params.job)
    for key in params.space:
        if key not in known:
            raise unknown_field(key, known)
    return {key: known[key] for key in params.space}


def champion_values(folder: Path, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """What a champion was trained with of each searched field, as far as the space holds it.

    Args:
        folder: The champion's; its card says how it was trained.
        space: Of the search.

    Raises:
        UserError: The card does not say it.
    """
    path = folder / layout.MODEL_CARD.name
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        trained = searchable(
            ModelParams.model_validate(card["model"]), FineTuneParams.model_validate(card["fine_tune"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: this does not say how the champion was trained ({error!r})") from None
    return {key: trained[key] for key, each in space.items() if _holds(each, trained[key])}


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return bool(distribution.low <= value <= distribution.high)


def _distribution(key: str, entry: FloatRange | Choice, default: Any) -> BaseDistribution:
    where = f"params.yaml: search.space.{key}"
    if isinstance(entry, Choice):
        if default not in entry.choices:
            raise UserError(f"{where}: the default, {default!r}, must be among the choices; add it")
        return CategoricalDistribution(entry.choices)
    if not isinstance(default, int | float) or isinstance(default, bool):
        raise UserError(f"{where}: {default!r} is not a number, so give choices instead of a range")
    if not (math.isfinite(entry.low) and math.isfinite(entry.high) and entry.low < entry.high):
        raise UserError(f"{where}: low ({entry.low:g}) must be less than high ({entry.high:g})")
    if entry.log and entry.low <= 0:
        raise UserError(f"{where}: with log, low must be more than 0 (found {entry.low:g})")
    if not entry.low <= default <= entry.high:
        raise UserError(
            f"{where}: the default, {default:g}, is always tried and must lie between low and high; widen the range, "
            "or change the default in search.job (model.head for head.*)"
        )
    if isinstance(default, int):
        return IntDistribution(_as_field(key, entry.low, default), _as_field(key, entry.high, default), log=entry.log)
    return FloatDistribution(entry.low, entry.high, log=entry.log)


def _as_field(key: str, value: Any, default: Any) -> Any:
    """YAML's 8.0 as the integer that the field wants."""
    if isinstance(default, bool) or not isinstance(default, int) or not isinstance(value, float):
        return value
    if not value.is_integer():
        raise UserError(f"params.yaml: search.space.{key}: {value:g} must be a whole number")
    return int(value)
