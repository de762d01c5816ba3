"""Two clips of one video say the same: BYOL (Grill et al. 2020, arXiv:2006.07733) over time.

Feichtenhofer et al. 2021 (arXiv:2104.14558) compare four such methods on video and find this one, with clips from
different times, the best. It needs no negatives and so no large batches.

Shapes: B clips, C channels, T frames, H height, W width, D features.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.family import Backbone
from models.pretrain.pretext import Pretext
from models.spec import PretrainParams

_HIDDEN = 4096
_OUT = 256


class Byol(Pretext):
    """Predicts, from one clip of a video, what a slowly following copy says of another."""

    num_views = 2
    min_clips = 2

    def __init__(self, backbone: Backbone, params: PretrainParams) -> None:
        super().__init__()
        # No wider than what stands in proportion to the features.
        hidden = min(_HIDDEN, 4 * backbone.num_features)
        self.backbone = backbone
        self.projector = _perceptron(backbone.num_features, hidden)
        self.predictor = _perceptron(_OUT, hidden)
        self.target_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)
        self._momentum = params.target_momentum

    def forward(self, *clips_BCTHW: Tensor) -> Tensor:
        """Two minus two cosines, averaged over both directions: 0 where both agree, 4 where they are opposed."""
        first_BCTHW, second_BCTHW = clips_BCTHW
        return 0.5 * (self._distance(first_BCTHW, second_BCTHW) + self._distance(second_BCTHW, first_BCTHW))

    @torch.no_grad()
    def after_step(self) -> None:
        """Let the copy follow."""
        for leader, follower in (
            (self.backbone, self.target_backbone),
            (self.projector, self.target_projector),
        ):
            for weight, copied in zip(leader.parameters(), follower.parameters(), strict=True):
                copied.lerp_(weight, 1.0 - self._momentum)

    def _distance(self, from_BCTHW: Tensor, to_BCTHW: Tensor) -> Tensor:
        said = self.predictor(self.projector(self.backbone(from_BCTHW).mean(1)))
        with torch.no_grad():
            wanted = self.target_projector(self.target_backbone(to_BCTHW).mean(1))
        return 2.0 - 2.0 * F.cosine_similarity(said.float(), wanted.float()).mean()


def _perceptron(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, _OUT))
