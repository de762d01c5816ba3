"""What the folder of a family provides.

Shapes: B clips, C channels, T frames, H height, W width, D features; T of features may be smaller than T of clips.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from models import backbones
from models.clips.sampling import ClipInput


class Flavour(Protocol):
    """A family's size. Families add the fields of their architecture."""

    @property
    def clip_input(self) -> ClipInput:
        """What the network takes."""


class Backbone(nn.Module):
    """Turns ``clip_BCTHW`` into spatially pooled ``features_BTD``.

    Attributes:
        num_features: Size of D.
        num_steps: Size of T of the features.
        stages: Names of submodules, or of parameters that lie in none, from input to output, the stem first. Together
            they hold every parameter exactly once.
    """

    num_features: int
    num_steps: int
    stages: tuple[str, ...]

    def stage_parameters(self, stage: str) -> dict[str, nn.Parameter]:
        """The parameters of one of ``stages``, under their names in the backbone."""
        inside = f"{stage}."
        return {name: weight for name, weight in self.named_parameters() if f"{name}.".startswith(inside)}


@dataclass(frozen=True)
class Family:
    """A family of backbones.

    Attributes:
        flavours: By name. Each family has a ``debug`` flavour that trains on a CPU in seconds.
        build: Makes a flavour's backbone with random weights.
        weights: Readers of published weights by name, as state dicts that fit ``build``'s result.
    """

    flavours: Mapping[str, Any]
    build: Callable[[Any], Backbone]
    weights: Mapping[str, Callable[[], dict[str, Tensor]]]


def family_names() -> list[str]:
    """The folders beside this module."""
    return sorted(module.name for module in pkgutil.iter_modules(backbones.__path__) if module.ispkg)


def load_family(name: str) -> Family:
    """Import the folder ``name``, which says ``FAMILY = Family(...)``."""
    family: Family = importlib.import_module(f"models.backbones.{name}").FAMILY
    return family
