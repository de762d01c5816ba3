"""What a network costs: parameters, and multiply-adds of one clip, counted on tensors without content."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.backbones.family import Family
from models.build import VideoModel


@dataclass(frozen=True)
class Cost:
    """Of a backbone with a linear classifier.

    Attributes:
        num_parameters: Weights and biases.
        multiply_adds: Of one clip, in convolutions and products of matrices, as papers count "FLOPs".
    """

    num_parameters: int
    multiply_adds: int


def cost_of(family: Family, flavour: Any, num_classes: int, *, size: int | None = None) -> Cost:
    """Count what a flavour costs.

    Args:
        family: Its family.
        flavour: One of the family's.
        num_classes: Of the classifier.
        size: Side of the frames in pixels; default: the flavour's. Networks with fixed maps take no other.
    """
    clip_input = flavour.clip_input
    side = size or clip_input.size
    with torch.random.fork_rng(devices=[]):
        backbone = family.build(flavour).to("meta").eval()
    clip_BCTHW = torch.empty(1, 3, clip_input.num_frames, side, side, device="meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        backbone(clip_BCTHW)
    num_inputs = backbone.num_features
    return Cost(
        sum(weights.numel() for weights in backbone.parameters()) + (num_inputs + 1) * num_classes,
        counter.get_total_flops() // 2 + num_inputs * num_classes,
    )


def multiply_adds(model: VideoModel) -> int:
    """Multiply-adds of one clip, those of the head included.

    Args:
        model: In eval mode.
    """
    clip_input = model.clip_input
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        shape = (1, 3, clip_input.num_frames, clip_input.size, clip_input.size)
        copy.deepcopy(model).to("meta")(torch.empty(shape, device="meta"))
    num_operations: int = counter.get_total_flops()
    return num_operations // 2
