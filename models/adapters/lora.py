"""Low-rank changes of frozen weights: LoRA (Hu et al. 2022, arXiv:2106.09685).

A layer becomes ``W + alpha / rank * up @ down``, where ``W`` is seen as a matrix with a row an output channel; for a
convolution, 3D ones included, a column is an input channel of its group at a place of the kernel. The change is made in
the weight rather than beside the layer: so it fits every layer, whatever that does with its weight (grouped, padded in
its own way, inside of PyTorch's attention), and is folded in without any difference.

A layer keeps its class's code, its place and the names of its weights. Beside ``weight`` (``in_proj_weight`` of
attention) it gets ``lora_down`` and ``lora_up``.

Shapes: O output channels, I columns of the matrix, R rank.
"""

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.family import Backbone
from models.errors import UserError
from models.parts import ADAPTERS
from models.spec import LoraParams

_DOWN, _UP = "lora_down", "lora_up"
_WEIGHT_OF: dict[type[nn.Module], str] = {
    nn.Linear: "weight",
    nn.Conv1d: "weight",
    nn.Conv2d: "weight",
    nn.Conv3d: "weight",
    nn.MultiheadAttention: "in_proj_weight",
}


def add_lora(backbone: Backbone, params: LoraParams, *, seed: int) -> None:
    """Give every layer that ``params.targets`` names a change, which begins as none.

    Left as they are: layers of which a change of this rank would have no fewer weights than they have themselves, and
    what an adapter consists of.

    Args:
        backbone: On any device.
        params: Which changes.
        seed: Of their random factors. The caller's random state is left as it was.

    Raises:
        UserError: No layer is left.
    """
    layers = list(_layers(backbone))
    wanted = [(name, layer) for name, layer in layers if any(fnmatchcase(name, each) for each in params.targets)]
    if not wanted:
        known = ", ".join(name for name, _ in layers[-3:])
        raise UserError(
            f"params.yaml: fine_tune.lora.targets: no layer is called {' or '.join(params.targets)}; "
            f'"*" means all, and others are {known}'
        )
    smaller = [layer for _, layer in wanted if _is_smaller(layer, params.rank)]
    if not smaller:
        raise UserError(
            f"params.yaml: fine_tune.lora.rank: {params.rank} is too high: a change of that rank is no smaller than "
            f"any of the {len(wanted)} layers themselves; take a lower rank, or method stages"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in smaller:
            _add(layer, params)


def merge_lora(backbone: Backbone) -> None:
    """Fold every change into its weight; the backbone is then as it was built, and says the same."""
    changed: list[Any] = [module for module in backbone.modules() if isinstance(module, _Changed)]
    for layer in changed:
        weight_name = _weight_name(layer)
        was_training = layer.training
        with torch.no_grad():
            layer._parameters[weight_name].copy_(_changed(layer.eval(), weight_name))
        layer.train(was_training)
        del layer._parameters[_DOWN], layer._parameters[_UP], layer.lora_scale, layer.lora_dropout
        layer.__class__ = type(layer).__bases__[1]


def has_lora(backbone: Backbone) -> bool:
    """Whether a change is not folded in yet."""
    return any(isinstance(module, _Changed) for module in backbone.modules())


class _Changed:
    """Marks the classes that :func:`_changed_class` makes."""

    lora_scale: float
    lora_dropout: float


def _layers(backbone: Backbone) -> Iterator[tuple[str, nn.Module]]:
    for name, module in backbone.named_modules():
        is_known = isinstance(module, tuple(_WEIGHT_OF)) and getattr(module, _weight_name(module)) is not None
        if is_known and not name.startswith(f"{ADAPTERS}."):
            yield name, module


def _weight_name(layer: object) -> str:
    return next(name for kind, name in _WEIGHT_OF.items() if isinstance(layer, kind))


def _is_smaller(layer: nn.Module, rank: int) -> bool:
    weight: Tensor = getattr(layer, _weight_name(layer))
    num_outputs, num_columns = weight.shape[0], weight[0].numel()
    return rank * (num_outputs + num_columns) < num_outputs * num_columns


def _add(layer: Any, params: LoraParams) -> None:
    weight_name = _weight_name(layer)
    weight: Tensor = getattr(layer, weight_name)
    down_RI = torch.empty((params.rank, weight[0].numel()))  # on the CPU: every device gets the same numbers
    nn.init.kaiming_uniform_(down_RI, a=math.sqrt(5))
    layer.register_parameter(_DOWN, nn.Parameter(down_RI.to(weight)))
    layer.register_parameter(_UP, nn.Parameter(weight.new_zeros((weight.shape[0], params.rank))))
    layer.__class__ = _changed_class(layer.__class__, weight_name)
    layer.lora_scale = params.alpha / params.rank
    layer.lora_dropout = params.dropout


@cache
def _changed_class(base: Any, weight_name: str) -> Any:
    """``base``, whose weight is the changed one whenever it is read; the frozen one stays in the module's state."""
    return type(f"Lora{base.__name__}", (_Changed, base), {weight_name: property(lambda it: _changed(it, weight_name))})


def _changed(layer: Any, weight_name: str) -> Tensor:
    weight: Tensor = layer._parameters[weight_name]
    down_RI = layer._parameters[_DOWN]
    if layer.training and layer.lora_dropout:
        # One mask for all rows: as if the input channels were dropped, which is what the paper does, clip by clip.
        down_RI = down_RI * F.dropout(down_RI.new_ones(down_RI.shape[1]), layer.lora_dropout)
    change_OI: Tensor = layer.lora_scale * (layer._parameters[_UP] @ down_RI)
    return weight + change_OI.view_as(weight)
