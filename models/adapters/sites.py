"""Where a backbone can be adapted: after stages that give maps, and around what transformer blocks consist of.

Shapes: B clips, T steps, S patches of a step, D features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.backbones.family import Backbone
from models.clips.sampling import ClipInput


@dataclass(frozen=True)
class Blocks:
    """What the transformer blocks of a family are made of; they are the children of ``blocks``.

    Attributes:
        order: Of patches: ``frames`` are clips of their own to a block; a clip's patches come step by step (``steps``)
            or place by place, each at all steps (``places``).
        num_extra: Class tokens before the patches.
        norm: Before attention.
        attention: Its output is added to the tokens.
        mlp: The perceptron, or the last layer of one that is no module of its own.
        mlp_is_whole: Which of these.
    """

    order: Literal["frames", "steps", "places"]
    num_extra: int
    norm: str
    attention: str
    mlp: str
    mlp_is_whole: bool = True

    def by_step(self, patches: Tensor, num_steps: int) -> Tensor:
        """Patches as a block gets them, as ``patches_BTSD``."""
        if self.order == "frames":
            return torch.unflatten(patches, 0, (-1, num_steps))
        if self.order == "steps":
            return torch.unflatten(patches, 1, (num_steps, -1))
        return torch.unflatten(patches, 1, (-1, num_steps)).transpose(1, 2)

    def as_tokens(self, patches_BTSD: Tensor) -> Tensor:
        """The same the other way round."""
        if self.order == "frames":
            return patches_BTSD.flatten(0, 1)
        if self.order == "steps":
            return patches_BTSD.flatten(1, 2)
        return patches_BTSD.transpose(1, 2).flatten(1, 2)


BLOCKS = {
    "vit": Blocks("frames", 1, "norm1", "attn", "mlp"),
    "mvit": Blocks("steps", 1, "norm1", "attn", "mlp"),
    "vivit": Blocks("steps", 1, "layernorm_before", "attention", "mlp"),
    "videomae": Blocks("steps", 0, "layernorm_before", "attention", "output", mlp_is_whole=False),
    "timesformer": Blocks("places", 1, "layernorm_before", "attention", "output", mlp_is_whole=False),
}
"""By the family's folder."""


def family_of(backbone: Backbone) -> str:
    """The folder of a backbone's class."""
    return type(backbone).__module__.split(".")[-2]


def blocks_of(backbone: Backbone) -> Blocks | None:
    """What a transformer's blocks are made of; None for other families."""
    return BLOCKS.get(family_of(backbone))


def map_channels(backbone: Backbone, clip_input: ClipInput) -> dict[str, tuple[int, ...]]:
    """The stages that give maps, and the channels of each pathway of these. Nothing is computed to know it."""
    found: dict[str, tuple[int, ...]] = {}

    def note(stage: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        pathways = [output] if isinstance(output, Tensor) else list(output)
        if all(isinstance(maps, Tensor) and maps.ndim in (4, 5) for maps in pathways):
            found[stage] = tuple(maps.shape[1] for maps in pathways)

    modules = dict(backbone.named_modules())
    hooks = [
        modules[stage].register_forward_hook(partial(note, stage)) for stage in backbone.stages if stage in modules
    ]
    was_training = backbone.training
    try:
        with torch.no_grad():
            shape = (1, 3, clip_input.num_frames, clip_input.size, clip_input.size)
            functional_call(backbone.eval(), _without_content(backbone), (torch.empty(shape, device="meta"),))
    finally:
        backbone.train(was_training)
        for hook in hooks:
            hook.remove()
    return found


def _without_content(module: nn.Module) -> dict[str, Tensor]:
    empty: Callable[[Tensor], Tensor] = partial(torch.empty_like, device="meta")
    return {name: empty(tensor) for name, tensor in (*module.named_parameters(), *module.named_buffers())}
