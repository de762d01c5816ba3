"""What every format of a model answers: class scores, and the embedding that the watch compares.

Shapes: B clips, C channels, T frames or steps, H height, W width, D features, K classes.
"""

import copy
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from models.build import VideoModel
from models.clips.sampling import ClipInput


class Program(Protocol):
    """A model that only answers."""

    def __call__(self, clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """``logits_BK`` and ``embedding_BD``, float32: the backbone's features, mean over time."""


class Answering(nn.Module):
    """A model as a :class:`Program`: torch itself, and what the other formats are made from."""

    def __init__(self, model: VideoModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores and embedding; the backbone runs once."""
        features_BTD = self.model.features(clip_BCTHW)
        logits_BK: Tensor = self.model.logits(features_BTD)
        return logits_BK.float(), features_BTD.float().mean(1)


def traced(model: VideoModel) -> ExportedProgram:
    """``model`` in eval mode, on the CPU, as a graph whose batch is dynamic; frames and size are the flavour's."""
    # A copy with plain strides: the formats keep no others.
    copied = copy.deepcopy(model).cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(Answering(copied), (noise(model.clip_input, 2),), dynamic_shapes=({0: batch},))


def noise(clip_input: ClipInput, num_clips: int) -> Tensor:
    """``clip_BCTHW`` of normal noise, the same for the same number of clips."""
    generator = torch.Generator().manual_seed(num_clips)
    shape = (num_clips, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.randn(shape, generator=generator)
