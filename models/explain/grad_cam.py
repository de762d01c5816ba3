"""Where a model looks: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) in space and time, for any backbone.

The last maps that a backbone makes are weighted by what their channels do for a class: the gradient of its score. The
original takes one weight a channel for the whole picture, and then lights places that a model does not look at where it
reads some places and not others, as fully connected layers and class tokens do. Here each place has its own weights, as
in HiResCAM (Draelos and Carin 2020, arXiv:2011.08891). Where a head reads means over space it is the same thing, with
weights for each step: a channel may speak for a class early in a clip and against it late.

The maps are found, not named: of all submodules the last to give something with height and width, on which the score
depends, with at least seven rows and columns where there are any so fine. That is how fine the last maps of networks
are that take 224 pixels; smaller inputs leave four, each of which sees the whole picture and says little about where
(measured: docs/decisions/0020-inside.md). Tokens count where they fit a grid that was seen before, such as a patch
embedding's. Where the score hangs on a class token alone, the last block's patches do not matter any more, and what
went into that block is taken.

Shapes: B clips, C channels, T frames or steps, H height, W width, N clips times frames, P tokens, K classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.family import Backbone
from models.build import VideoModel
from models.inference import evaluating

_ATTENTION = (nn.Softmax, nn.Dropout)
"""What they give in a transformer has four dimensions too, and none of them is height or width."""

_FINE = 7
"""Rows and columns from which on a place is a place."""

_Grid = tuple[int, int, int]


def grad_cam(model: VideoModel, clip_BCTHW: Tensor, class_B: Tensor) -> Tensor:
    """How much each place of each frame speaks for a class.

    Args:
        model: On any device; its weights and their gradients stay as they are.
        clip_BCTHW: As the model takes it, on the model's device.
        class_B: The class of each clip that is asked about.

    Returns:
        ``map_BTHW`` of the clip's size, from 0 to 1, which is each clip's own maximum; all zeros where nothing speaks
        for the class.

    Raises:
        ValueError: The backbone makes nothing with height and width on which the score depends.
    """
    num_frames = clip_BCTHW.shape[2]
    with evaluating(model), torch.enable_grad(), _recorded(model.backbone) as seen:
        logits_BK = model(clip_BCTHW.detach().requires_grad_())
        score = logits_BK.gather(1, class_B[:, None]).sum()  # clips do not depend on each other in eval mode
    map_BTHW = _spoken_for(score, seen, _Layout(model.backbone, seen, len(clip_BCTHW)))
    height, width = clip_BCTHW.shape[3:]
    map_BTHW = F.interpolate(map_BTHW.relu()[:, None], (num_frames, height, width), mode="trilinear")[:, 0]
    return map_BTHW / map_BTHW.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(map_BTHW.dtype).tiny)


@dataclass(frozen=True)
class _Seen:
    module: nn.Module
    outputs: list[Tensor]


@contextmanager
def _recorded(backbone: nn.Module) -> Iterator[list[_Seen]]:
    """What the submodules give, in the order in which they finish."""
    seen: list[_Seen] = []

    def hook(module: nn.Module, _: object, output: object) -> None:
        outputs = output if isinstance(output, list | tuple) else [output]
        seen.append(_Seen(module, [each for each in outputs if isinstance(each, Tensor)]))

    handles = [module.register_forward_hook(hook) for module in backbone.modules() if module is not backbone]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _spoken_for(score: Tensor, seen: list[_Seen], layout: "_Layout") -> Tensor:
    """Channels weighted and added up: ``map_BTHW`` on the grid of the last fine maps that matter."""
    fine = min(_FINE, max((min(height, width) for _, height, width in layout.grids), default=1))
    for each in reversed(seen):
        tensors = [tensor for tensor in each.outputs if layout.is_fine(tensor, each.module, fine)]
        if not tensors:
            continue
        gradients = torch.autograd.grad(score, tensors, retain_graph=True, allow_unused=True, materialize_grads=True)
        summed = []
        for tensor, gradient in zip(tensors, gradients, strict=True):
            maps_BCTHW = layout.maps(tensor.detach(), each.module)
            gradient_BCTHW = layout.maps(gradient, each.module)
            if maps_BCTHW is not None and gradient_BCTHW is not None and gradient_BCTHW.any():
                summed.append((gradient_BCTHW * maps_BCTHW).sum(1))
        if summed:
            return _added(summed)
    raise ValueError("the backbone makes no maps with height and width on which its answer depends")


def _added(maps: list[Tensor]) -> Tensor:
    """The maps of all pathways, on the finest of their grids."""
    size = [max(each.shape[axis] for each in maps) for axis in (1, 2, 3)]
    resized = [F.interpolate(each[:, None], size, mode="trilinear")[:, 0] for each in maps]
    return torch.stack(resized).sum(0)


class _Layout:
    """Where steps, rows and columns are in what the submodules of a backbone give.

    Attributes:
        grids: Steps, rows and columns of all that has height and width.
    """

    def __init__(self, backbone: Backbone, seen: list[_Seen], num_clips: int) -> None:
        self._place_by_place = backbone.tokens_place_by_place
        self._num_clips = num_clips
        self.grids: set[_Grid] = set()
        maps = [self.maps(tensor, each.module) for each in seen for tensor in each.outputs]
        self.grids = {(each.shape[2], each.shape[3], each.shape[4]) for each in maps if each is not None}

    def is_fine(self, output: Tensor, module: nn.Module, fine: int) -> bool:
        """Whether it has at least ``fine`` rows and columns."""
        maps_BCTHW = self.maps(output, module)
        return maps_BCTHW is not None and min(maps_BCTHW.shape[3:]) >= fine

    def maps(self, output: Tensor, module: nn.Module) -> Tensor | None:
        """What a module gives as ``maps_BCTHW``, or None where it has neither height nor width."""
        num_each, rest = divmod(len(output), self._num_clips)
        if rest or isinstance(module, _ATTENTION) or not output.is_floating_point():
            return None
        if output.ndim == 5 and num_each == 1 and output.shape[3] * output.shape[4] > 1:
            return output
        if output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            return output.reshape(self._num_clips, num_each, *output.shape[1:]).transpose(1, 2)
        # Queries, keys and values are tokens too; a block's own output and what is normalised say more.
        if output.ndim == 3 and (isinstance(module, nn.LayerNorm) or next(module.children(), None) is not None):
            return self._of_tokens(output, num_each)
        return None

    def _of_tokens(self, tokens_NPC: Tensor, num_each: int) -> Tensor | None:
        for steps, height, width in sorted(self.grids, reverse=True):
            num_more = tokens_NPC.shape[1] - steps * height * width // num_each  # a class token comes first
            if num_each not in (1, steps) or num_more not in (0, 1):
                continue
            patches_NPC = tokens_NPC[:, num_more:]
            if self._place_by_place and num_each == 1:
                return patches_NPC.reshape(self._num_clips, height, width, steps, -1).permute(0, 4, 3, 1, 2)
            return patches_NPC.reshape(self._num_clips, steps, height, width, -1).permute(0, 4, 1, 2, 3)
        return None
