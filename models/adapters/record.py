"""What a job trained of a model, for its card."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.spec import Method


@dataclass(frozen=True)
class Trained:
    """What a job trained of a model.

    Attributes:
        method: The job's.
        names: Of the modules, or parameters, that were trained; changes of weights that are folded in are among them.
        num_trained: Numbers in them.
        num_parameters: Numbers in all parameters while the model was trained.
    """

    method: Method
    names: tuple[str, ...]
    num_trained: int
    num_parameters: int


def trained_of(method: Method, sizes: Mapping[str, int], trained: frozenset[str]) -> Trained:
    """The record of a job.

    Args:
        method: The job's.
        sizes: Of all parameters.
        trained: Names of those that were trained.
    """
    return Trained(method, _shortened(list(sizes), trained), sum(sizes[name] for name in trained), sum(sizes.values()))


def _shortened(names: list[str], trained: frozenset[str], prefix: str = "") -> tuple[str, ...]:
    """The largest modules that are trained as a whole, and the parameters that lie in none."""
    if all(name in trained for name in names):
        return (prefix.removesuffix("."),) if names else ()
    groups: dict[str, list[str]] = {}
    for name in names:
        first, dot, _ = name.removeprefix(prefix).partition(".")
        groups.setdefault(f"{prefix}{first}{dot}", []).append(name)
    return tuple(
        short for group, own in groups.items() if trained.intersection(own) for short in _shortened(own, trained, group)
    )
