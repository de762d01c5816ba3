"""A small convolutional network over time, for features in whose order the meaning lies (sitting down, getting up).

Shapes: B clips, T steps in time, D features, H hidden channels, K classes.
"""

import torch
from torch import Tensor, nn

_KERNEL = 3
_NUM_BLOCKS = 2


class TemporalHead(nn.Module):
    """``features_BTD`` to ``logits_BK``, order included.

    Features are projected to H channels, told their position, mixed along time by residual depthwise-separable
    convolutions, and pooled by mean and maximum.
    """

    def __init__(self, num_features: int, num_steps: int, num_classes: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.LayerNorm(num_features), nn.Dropout(dropout), nn.Linear(num_features, hidden))
        self.position_TH = nn.Parameter(0.02 * torch.randn(num_steps, hidden))
        self.blocks = nn.Sequential(*(_SeparableConv(hidden) for _ in range(_NUM_BLOCKS)))
        self.norm = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden, num_classes)

    def forward(self, features_BTD: Tensor) -> Tensor:
        """Class scores."""
        mixed_BTH: Tensor = self.blocks(self.project(features_BTD) + self.position_TH)
        pooled_BP = torch.cat([mixed_BTH.mean(1), mixed_BTH.amax(1)], dim=1)
        logits_BK: Tensor = self.classifier(self.dropout(self.norm(pooled_BP)))
        return logits_BK


class _SeparableConv(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.depthwise = nn.Conv1d(hidden, hidden, _KERNEL, padding=_KERNEL // 2, groups=hidden)
        self.pointwise = nn.Linear(hidden, hidden)
        self.activation = nn.GELU()

    def forward(self, steps_BTH: Tensor) -> Tensor:
        mixed_BTH = self.depthwise(self.norm(steps_BTH).transpose(1, 2)).transpose(1, 2)
        result: Tensor = steps_BTH + self.pointwise(self.activation(mixed_BTH))
        return result
