"""Our depthwise kernels within a network: bf16 costs no more than with cuDNN's."""

import pytest
import torch
from torch import Tensor

from tests.support.gpu import DEVICE, NEEDS_GPU, debug_model

pytestmark = NEEDS_GPU


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_on_a_gpu_is_as_exact_as_cudnns(compiled: bool) -> None:
    torch.manual_seed(0)
    clip_BCTHW = torch.randn(4, 3, 4, 32, 32, device=DEVICE)
    exact = _gradient(clip_BCTHW, torch.contiguous_format, torch.float32)
    theirs = _gradient(clip_BCTHW, torch.contiguous_format, torch.bfloat16)
    ours = _gradient(clip_BCTHW, torch.channels_last_3d, torch.bfloat16, compiled=compiled)
    assert (ours - exact).norm() < 1.5 * (theirs - exact).norm()


def _gradient(clip_BCTHW: Tensor, layout: torch.memory_format, dtype: torch.dtype, *, compiled: bool = False) -> Tensor:
    model = debug_model("x3d").to(memory_format=layout).train()
    forward = torch.compile(model) if compiled else model
    with torch.autocast(DEVICE.type, dtype, enabled=dtype != torch.float32):
        logits_BK = forward(clip_BCTHW.contiguous(memory_format=layout))
    logits_BK.float().square().mean().backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
