import torch
from torch.nn import functional as F

from models.heads.temporal import TemporalHead


def test_it_learns_what_only_the_order_tells() -> None:
    # Two events per clip, the same two in both classes: only which came first tells the classes apart.
    torch.manual_seed(0)
    label_N = torch.arange(1024) % 2
    features_NTD = 0.1 * torch.randn(1024, 8, 16)
    for number, label in enumerate(label_N):
        first, second = sorted(torch.randperm(8)[:2].tolist())
        features_NTD[number, first, int(label)] += 3.0
        features_NTD[number, second, 1 - int(label)] += 3.0
    head = TemporalHead(num_features=16, num_steps=8, num_classes=2, hidden=16, dropout=0.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(head(features_NTD[:768]), label_N[:768]).backward()
        optimizer.step()
    accuracy = (head.eval()(features_NTD[768:]).argmax(1) == label_N[768:]).float().mean()
    assert accuracy > 0.9
