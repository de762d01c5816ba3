"""Batch normalisation that processes share, on a GPU: with another that has the same clips it is torch's own."""

import pytest
import torch
from torch import Tensor, nn

from models.batch_norm import batch_norm_together
from models.processes import Group
from models.share import Share
from models.step import autocast
from tests.support.gpu import DEVICE, NEEDS_GPU

pytestmark = [*NEEDS_GPU, pytest.mark.usefixtures("exact")]


class _Twin(Group):
    """Another process says whatever this one says."""

    def __init__(self) -> None:
        super().__init__(Share(0, 2))
        self.num_clips = 4

    def stacked(self, tensor: Tensor) -> Tensor:
        return torch.stack([tensor, tensor])

    def summed(self, tensor: Tensor) -> Tensor:
        return 2.0 * tensor


def passed(network: nn.Module, clip_BCTHW: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """What it says, and the gradient at the clips; with those of the weights."""
    clip_BCTHW = clip_BCTHW.clone().requires_grad_()
    with autocast(precision, DEVICE):
        maps = network(clip_BCTHW)
    maps.float().square().mul(torch.linspace(0, 1, maps.shape[-1], device=DEVICE)).mean().backward()
    assert clip_BCTHW.grad is not None
    return maps.float(), torch.cat([clip_BCTHW.grad.flatten(), *(each.grad.flatten() for each in network.parameters())])


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_with_a_twin_it_is_torchs_own(precision: str, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    clip_BCTHW = (2.0 + torch.randn(4, 3, 4, 16, 16, generator=generator)).to(DEVICE)
    torch.manual_seed(0)
    plain, shared = (nn.Sequential(nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), nn.ReLU()).to(DEVICE) for _ in range(2))
    shared.load_state_dict(plain.state_dict())
    said, gradient = passed(plain, clip_BCTHW, precision)
    with batch_norm_together(shared, _Twin()):
        said_together, gradient_together = passed(shared, clip_BCTHW, precision)
    assert (said_together - said).norm() < tolerance * said.norm()
    assert (gradient_together - gradient).norm() < tolerance * gradient.norm()
    torch.testing.assert_close(shared[1].running_mean, plain[1].running_mean, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(shared[1].running_var, plain[1].running_var, rtol=0.02, atol=tolerance)
