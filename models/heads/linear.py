"""Mean over time, then one linear layer."""

from torch import Tensor, nn


class LinearHead(nn.Module):
    """``features_BTD`` to ``logits_BK``; the order of steps does not matter."""

    def __init__(self, num_features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(self, features_BTD: Tensor) -> Tensor:
        """Class scores."""
        logits_BK: Tensor = self.classifier(self.dropout(features_BTD.mean(1)))
        return logits_BK
