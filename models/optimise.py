"""Optimiser and learning rate of a fine-tuning job."""

import math

import torch
from torch import nn

from models.build import VideoModel
from models.parts import is_added, stage_indices
from models.spec import FineTuneParams

_STEP_MILESTONES = (0.6, 0.85)
_STEP_FACTOR = 0.1
_RISE, _FIRST_RATE = 0.3, 1 / 25


def make_optimizer(module: nn.Module, params: FineTuneParams) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) or SGD with Nesterov momentum over what trains of it.

    The backbone's own weights learn at their own scale, by stage where the job says so. Biases and normalisation are
    not decayed. Each group has its peak rate as ``peak_lr``.
    """
    scales = _rate_scales(module, params)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scales.get(name, 1.0), parameter.ndim > 1), []).append(parameter)
    described = [
        {
            "params": parameters,
            "peak_lr": params.lr * scale,
            "weight_decay": params.weight_decay if decays else 0.0,
        }
        for (scale, decays), parameters in groups.items()
    ]
    if params.optimizer == "sgd":
        nesterov = params.momentum > 0
        return torch.optim.SGD(described, lr=params.lr, momentum=params.momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(described, lr=params.lr, fused=True)


def _rate_scales(module: nn.Module, params: FineTuneParams) -> dict[str, float]:
    """Multiples of the head's rate for the weights that a backbone came with."""
    if not isinstance(module, VideoModel):
        return {}
    num_stages = len(module.backbone.stages)
    return {
        name: params.backbone_lr_scale * params.layer_decay ** (num_stages - index)
        for name, index in stage_indices(module).items()
        if name.startswith("backbone.") and not is_added(name)
    }


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to ``factor`` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def schedule_factor(step: int, num_steps: int, num_warmup_steps: int, schedule: str) -> float:
    """The learning rate at ``step`` (from 0) of ``num_steps`` as a multiple of its peak: a pure function, no state."""
    if schedule == "one_cycle":
        num_rising = max(round(_RISE * num_steps), 1)
        if step < num_rising:
            return _FIRST_RATE + (1.0 - _FIRST_RATE) * _risen(step / num_rising)
        return 1.0 - _risen((step - num_rising) / max(num_steps - num_rising, 1))
    if step < num_warmup_steps:
        return (step + 1) / (num_warmup_steps + 1)
    if schedule == "step":
        return _STEP_FACTOR ** sum(step >= milestone * num_steps for milestone in _STEP_MILESTONES)
    progress = (step - num_warmup_steps) / max(num_steps - num_warmup_steps, 1)
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _risen(progress: float) -> float:
    return 0.5 * (1.0 - math.cos(math.pi * progress))
