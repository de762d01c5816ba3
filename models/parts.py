"""The parts of a model: a head on frozen features, or the whole, and the stages of its weights."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.build import VideoModel

ADAPTERS = "adapters"
"""The submodule of a backbone that holds its adapters, each under its host's name with dashes for dots."""

LORA = "lora_"
"""How the names of a layer's low-rank factors begin."""


@dataclass(frozen=True)
class Part:
    """What of a model is trained, and on what.

    Attributes:
        prefix: Of its weights' names in the model's state.
        module: The part of a model.
        inputs: What the part of a model takes, from ``clip_BCTHW``.
    """

    prefix: str
    module: Callable[[VideoModel], nn.Module]
    inputs: Callable[[VideoModel, Tensor], Tensor]


HEAD = Part("head.", lambda model: model.head, lambda model, clip_BCTHW: model.features(clip_BCTHW))
WHOLE = Part("", lambda model: model, lambda _, clip_BCTHW: clip_BCTHW)


def stage_indices(model: VideoModel) -> dict[str, int]:
    """The stage of each parameter of a model, counted from 0 at the input; the head comes after the last.

    An adapter is of the stage in which or after which it works.
    """
    stages = model.backbone.stages
    indices = dict.fromkeys((name for name, _ in model.named_parameters()), len(stages))
    for name in indices:
        inner = name.removeprefix("backbone.")
        if inner != name:
            place = f"{host_of(inner) or inner}."
            indices[name] = next(index for index, stage in enumerate(stages) if place.startswith(f"{stage}."))
    return indices


def trained_state(module: nn.Module, trained: Collection[str], *, statistics: bool) -> dict[str, Tensor]:
    """What training changes of a module's state; the rest stays as it was to the bit.

    Args:
        module: Whose parameters are meant.
        trained: Names of those that are trained.
        statistics: Whether running statistics move too, where a batch normalisation is trained.
    """
    names = set(trained)
    for prefix, norm in module.named_modules():
        own = [f"{prefix}.{name}" for name, _ in norm.named_parameters(recurse=False)]
        if statistics and isinstance(norm, _BatchNorm) and names.intersection(own):
            names |= {f"{prefix}.{name}" for name, _ in norm.named_buffers(recurse=False)}
    return {name: tensor for name, tensor in module.state_dict().items() if name in names}


def is_added(name: str) -> bool:
    """Whether a model's parameter is none of the backbone that was built, but of what a method added to it."""
    return name.startswith(f"backbone.{ADAPTERS}.") or name.rpartition(".")[2].startswith(LORA)


def host_of(name: str) -> str | None:
    """The module of the backbone at which the adapter works whose weight, seen from the backbone, is ``name``."""
    container, _, rest = name.partition(".")
    return rest.partition(".")[0].replace("-", ".") if container == ADAPTERS else None
