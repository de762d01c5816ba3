"""What a way of pretraining provides: a task that clips set by themselves."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from models.backbones.family import Backbone


class Pretext(nn.Module, ABC):
    """A backbone, and what is put on it while it is pretrained.

    Attributes:
        backbone: What is kept.
        num_views: Clips of one video that a step looks at.
        min_clips: A batch with fewer videos than these teaches nothing.
    """

    backbone: Backbone
    num_views: int = 1
    min_clips: int = 1

    @abstractmethod
    def forward(self, *clips_BCTHW: Tensor) -> Tensor:
        """The loss of one step, from ``num_views`` clips of the same videos."""

    def after_step(self) -> None:
        """Follow the weights, once the optimiser has moved them."""
