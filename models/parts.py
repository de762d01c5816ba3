"""The parts of a model that are trained on their own: a head on frozen features, or the whole."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from models.build import VideoModel


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
