import torch

from models.heads.linear import LinearHead


def test_the_order_of_steps_does_not_matter() -> None:
    head = LinearHead(num_features=6, num_classes=3, dropout=0.5).eval()
    features_BTD = torch.randn(4, 5, 6)
    torch.testing.assert_close(head(features_BTD), head(features_BTD.flip(1)))
