"""Heads: ``features_BTD`` to ``logits_BK``. One file each, named as in params.yaml.

Every head ends in ``classifier``, a linear layer with a row a class: that is where classes come and go.

Shapes: B clips, T steps in time, D features, K classes.
"""

from torch import nn

from models.heads.linear import LinearHead
from models.heads.temporal import TemporalHead
from models.spec import HeadParams


def build_head(params: HeadParams, num_features: int, num_steps: int, num_classes: int) -> nn.Module:
    """The head that ``params.name`` says, with random weights."""
    if params.name == "linear":
        return LinearHead(num_features, num_classes, params.dropout)
    return TemporalHead(num_features, num_steps, num_classes, params.hidden, params.dropout)
