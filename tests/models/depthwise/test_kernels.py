"""Our depthwise kernels against PyTorch's convolution: on a GPU where there is one, else by Triton's interpreter."""

import pytest
import torch
from torch.nn import functional as F

pytest.importorskip(
    "triton", reason="not tested, since triton is not installed (pip install -r requirements-test.lock)"
)

from models.depthwise.op import depthwise_conv3d

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
_LAST = torch.channels_last_3d


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding", "size"),
    [
        (6, (3, 3, 3), (1, 1, 1), (1, 1, 1), (4, 5, 6)),
        (70, (3, 3, 3), (1, 2, 2), (1, 1, 1), (3, 6, 5)),  # more channels than a block has
        (8, (5, 1, 1), (1, 1, 1), (2, 0, 0), (4, 3, 3)),
        (4, (3, 3, 3), (2, 2, 2), (0, 1, 1), (5, 6, 7)),
        (3, (1, 3, 3), (1, 3, 3), (0, 0, 0), (2, 8, 8)),  # a stride that leaves the last row and column out
    ],
)
def test_output_and_gradients_are_pytorchs(
    channels: int, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], size: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, channels, *size, device=DEVICE).contiguous(memory_format=_LAST)
    weight = torch.randn(channels, 1, *kernel, device=DEVICE)
    ours, theirs = (
        [each.clone().to(kind).requires_grad_() for each in (maps, weight)] for kind in (None, torch.double)
    )
    made = depthwise_conv3d(*ours, stride, padding)
    right = F.conv3d(*theirs, None, stride, padding, groups=channels)
    slope = torch.randn_like(made)
    made.backward(slope)
    right.backward(slope.double())
    torch.testing.assert_close(made.double(), right, rtol=1e-5, atol=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-5)
    assert made.is_contiguous(memory_format=_LAST)


def test_half_precision_is_added_up_in_full() -> None:
    torch.manual_seed(0)
    maps = torch.randn(1, 4, 3, 4, 4, device=DEVICE).bfloat16().contiguous(memory_format=_LAST)
    weight = torch.randn(4, 1, 3, 3, 3, device=DEVICE)
    made = depthwise_conv3d(maps, weight, (1, 1, 1), (1, 1, 1))
    exact = F.conv3d(maps.double(), weight.double(), None, 1, 1, groups=4)
    torch.testing.assert_close(made, exact.bfloat16(), rtol=2**-7, atol=1e-6)  # one rounding, that of the result


def test_places_are_in_range_whatever_is_around() -> None:
    """What lies before and behind a clip in memory is not read into its margin."""
    memory = torch.full((3, 2, 2, 2, 2), torch.nan, device=DEVICE).contiguous(memory_format=_LAST)
    memory[1] = 1.0
    weight = torch.ones(2, 1, 3, 3, 3, device=DEVICE)
    assert torch.equal(depthwise_conv3d(memory[1:2], weight, (1, 1, 1), (1, 1, 1)), torch.full_like(memory[1:2], 8.0))


def test_operator_is_sound_for_autograd_and_compile() -> None:
    maps = torch.randn(1, 2, 2, 3, 3, device=DEVICE).contiguous(memory_format=_LAST).requires_grad_()
    weight = torch.randn(2, 1, 3, 3, 3, device=DEVICE, requires_grad=True)
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(depthwise_conv3d, (maps, weight, (1, 1, 1), (1, 1, 1)), test_utils=checks)
