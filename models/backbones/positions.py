"""Position embeddings of published weights, resized to a flavour's own grid of patches.

Shapes: P positions, E of which are no patch (class tokens), T steps, H rows, W columns, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Grid = tuple[int, int, int]
"""Patches along time, rows and columns; 1 where there is no such axis."""


@dataclass(frozen=True)
class Positions:
    """The grid that a learned embedding ``position_1PD`` is about.

    Attributes:
        published: The grid of published weights.
        own: The grid of this flavour.
        num_extra: Positions before the grid's own that stay as they are.
    """

    published: Grid
    own: Grid
    num_extra: int = 0


def resize_on_load(backbone: nn.Module, positions: Mapping[str, Positions]) -> None:
    """Let ``backbone`` take state dicts whose embeddings are of the published grid; all other sizes are still refused.

    Args:
        backbone: Whose ``load_state_dict`` is meant.
        positions: By the parameter's name.
    """

    def resize(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
        for name, about in positions.items():
            found = state.get(prefix + name)
            if isinstance(found, Tensor) and found.ndim == 3 and found.shape[1] == _num_positions(about):
                state[prefix + name] = resized(found, about)

    backbone.register_load_state_dict_pre_hook(resize)  # type: ignore[no-untyped-call]  # a missing stub


def resized(position_1PD: Tensor, about: Positions) -> Tensor:
    """Interpolate from the published grid to the own one: bicubic over space, as ViT does, and linear over time."""
    if about.published == about.own:
        return position_1PD
    extra_1ED, grid_1PD = position_1PD[:, : about.num_extra], position_1PD[:, about.num_extra :]
    num_steps, height, width = about.published
    maps_TDHW = grid_1PD.view(num_steps, height, width, -1).permute(0, 3, 1, 2)
    if about.published[1:] != about.own[1:]:
        maps_TDHW = F.interpolate(maps_TDHW.float(), about.own[1:], mode="bicubic", antialias=True)
    series_1MT = maps_TDHW.flatten(1).T[None]
    if num_steps != about.own[0]:
        series_1MT = F.interpolate(series_1MT.float(), about.own[0], mode="linear")
    maps_TDHW = series_1MT[0].T.reshape(about.own[0], -1, *about.own[1:])
    grid_1PD = maps_TDHW.permute(0, 2, 3, 1).flatten(0, 2)[None]
    return torch.cat([extra_1ED, grid_1PD.to(extra_1ED.dtype)], 1)


def _num_positions(about: Positions) -> int:
    num_steps, height, width = about.published
    return about.num_extra + num_steps * height * width
