"""ST-Adapter (Pan et al. 2022, arXiv:2206.13559): down, a convolution along time, up, beside a shortcut.

It works after each stage that gives maps, on each pathway, or before each block of a transformer, on its patches.

Shapes: B clips, C channels, T frames or steps, H height, W width, N frames of all clips, S patches of a step, D
features.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.adapters.sites import Blocks

_KERNEL = (3, 1, 1)


class STAdapter(nn.Module):
    """What is added to ``maps_BCTHW``; nothing, before it is trained.

    Args:
        channels: Size of C.
        inner: Channels on the way.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.down = nn.Conv3d(channels, inner, 1)
        self.along_time = nn.Conv3d(inner, inner, _KERNEL, padding=(_KERNEL[0] // 2, 0, 0), groups=inner)
        self.up = nn.Conv3d(inner, channels, 1)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)  # type: ignore[arg-type]

    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        """The change."""
        change_BCTHW: Tensor = self.up(F.gelu(self.along_time(self.down(maps_BCTHW))))
        return change_BCTHW


class AfterStage:
    """A forward hook: a stage's maps with the changes of their adapters.

    Args:
        adapters: One for each pathway.
        num_frames: Of a clip, for stages that see frames one by one.
    """

    def __init__(self, adapters: Sequence[STAdapter], num_frames: int) -> None:
        self._adapters = list(adapters)
        self._num_frames = num_frames

    def __call__(self, _stage: nn.Module, _inputs: Any, output: Any) -> Any:
        """What takes the output's place."""
        if isinstance(output, Tensor):
            return self._changed(self._adapters[0], output)
        return [self._changed(adapter, maps) for adapter, maps in zip(self._adapters, output, strict=True)]

    def _changed(self, adapter: STAdapter, maps: Tensor) -> Tensor:
        if maps.ndim == 5:
            changed_BCTHW: Tensor = maps + adapter(maps)
            return changed_BCTHW
        maps_BCTHW = torch.unflatten(maps, 0, (-1, self._num_frames)).transpose(1, 2)
        change_NCHW: Tensor = adapter(maps_BCTHW).transpose(1, 2).flatten(0, 1)
        return maps + change_NCHW


class BeforeBlock:
    """A forward pre-hook: a transformer block's tokens with the change of their adapter; class tokens stay."""

    def __init__(self, adapter: STAdapter, blocks: Blocks, num_steps: int) -> None:
        self._adapter = adapter
        self._blocks = blocks
        self._num_steps = num_steps

    def __call__(self, _block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """What takes the inputs' place."""
        tokens, *others = inputs
        num_extra = self._blocks.num_extra
        patches_BTSD = self._blocks.by_step(tokens[:, num_extra:], self._num_steps)
        change_BDTS1 = self._adapter(patches_BTSD.permute(0, 3, 1, 2)[..., None])
        change = self._blocks.as_tokens(change_BDTS1[..., 0].permute(0, 2, 3, 1))
        return tokens + torch.cat([torch.zeros_like(tokens[:, :num_extra]), change], 1), *others
