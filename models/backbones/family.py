"""What the folder of a family provides.

Shapes: B clips, C channels, T frames, H height, W width, D features; T of features may be smaller than T of clips.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models import backbones
from models.clips.sampling import ClipInput
from models.errors import UserError
from models.spec import ModelParams


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
        tokens_place_by_place: Whether a transformer's tokens of a whole clip have all steps of one place beside each
            other, and not all places of one step.
    """

    num_features: int
    num_steps: int
    stages: tuple[str, ...]
    tokens_place_by_place: bool = False

    def stage_parameters(self, stage: str) -> dict[str, nn.Parameter]:
        """The parameters of one of ``stages``, under their names in the backbone."""
        inside = f"{stage}."
        return {name: weight for name, weight in self.named_parameters() if f"{name}.".startswith(inside)}


class Weights(Protocol):
    """Published weights of one flavour; :class:`models.backbones.published.Published` fetches them."""

    def file(self) -> Path:
        """Where they lie on this machine."""

    def read(self, file: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """A state dict for a backbone whose state has these shapes."""


@dataclass(frozen=True)
class Family:
    """A family of backbones.

    Attributes:
        flavours: By name. Each family has a ``debug`` flavour that trains on a CPU in seconds.
        build: Makes a flavour's backbone with random weights.
        weights: Published weights by name (``kinetics400``), then by flavour.
        package: What has to be installed beside videoloop's own packages before ``build`` can be called; may be empty.
    """

    flavours: Mapping[str, Any]
    build: Callable[[Any], Backbone]
    weights: Mapping[str, Mapping[str, Weights]]
    package: str = ""

    @property
    def is_installed(self) -> bool:
        """Whether ``build`` can be called here."""
        return not self.package or importlib.util.find_spec(self.package) is not None


def family_names() -> list[str]:
    """The folders beside this module."""
    return sorted(module.name for module in pkgutil.iter_modules(backbones.__path__) if module.ispkg)


def load_family(name: str) -> Family:
    """Import the folder ``name``, which says ``FAMILY = Family(...)``."""
    family: Family = importlib.import_module(f"models.backbones.{name}").FAMILY
    return family


def find_flavour(params: ModelParams) -> tuple[Family, Any]:
    """The family and the flavour that section ``model`` names.

    Raises:
        UserError: There is no such family or flavour.
    """
    if params.family not in family_names():
        known = ", ".join(family_names())
        raise UserError(f"params.yaml: model.family: there is no family {params.family!r}; known: {known}")
    family = load_family(params.family)
    if params.flavour not in family.flavours:
        known = ", ".join(family.flavours)
        raise UserError(
            f"params.yaml: model.flavour: {params.family} has no flavour {params.flavour!r}; known: {known}"
        )
    return family, family.flavours[params.flavour]
