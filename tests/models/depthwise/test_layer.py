import pytest
import torch
from torch import nn

from models.build import build_model
from models.depthwise.layer import DepthwiseConv3d, use_own_kernels
from models.spec import HeadParams, ModelParams

_X3D = ModelParams(family="x3d", flavour="debug", head=HeadParams(name="linear"))


def test_every_depthwise_layer_of_a_model_is_taken_and_no_other() -> None:
    layers = [each for each in build_model(_X3D, 2, seed=0).modules() if isinstance(each, nn.Conv3d)]
    assert {type(each) is DepthwiseConv3d for each in layers if each.groups > 1} == {True}
    assert {type(each) is DepthwiseConv3d for each in layers if each.groups == 1} == {False}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(4, 8, 3, groups=4),
        nn.Conv3d(4, 4, 3, groups=2),
        nn.Conv3d(4, 4, 3, groups=4, padding="same"),
        nn.Conv3d(4, 4, 3, groups=4, padding=1, padding_mode="reflect"),
        nn.Conv3d(4, 4, 3, groups=4, dilation=2),
        nn.Conv3d(4, 4, 5, groups=4),
        nn.Conv3d(1, 1, 3),
    ],
    ids=["wider", "grouped", "same", "reflect", "dilated", "wide kernel", "one channel"],
)
def test_what_the_kernels_do_not_compute_stays_pytorchs(layer: nn.Conv3d) -> None:
    use_own_kernels(layer)
    assert type(layer) is nn.Conv3d


def test_a_layer_says_the_same_on_a_cpu_and_keeps_its_weights_names() -> None:
    torch.manual_seed(0)
    layer = nn.Conv3d(4, 4, 3, padding=1, groups=4)
    maps = torch.randn(1, 4, 3, 5, 5).contiguous(memory_format=torch.channels_last_3d)
    before, names = layer(maps), list(layer.state_dict())
    use_own_kernels(layer)
    assert type(layer) is DepthwiseConv3d
    assert torch.equal(layer(maps), before)
    assert list(layer.state_dict()) == names


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_on_a_gpu_has_cudnns_gradients(compiled: bool) -> None:
    clip = torch.randn(2, 3, 4, 32, 32, device="cuda")
    found = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):  # cuDNN's, ours
        model = build_model(_X3D, 2, seed=0).cuda().to(memory_format=layout).train()
        forward = torch.compile(model) if compiled else model
        with torch.autocast("cuda", torch.bfloat16):
            loss = forward(clip.to(memory_format=layout)).square().mean()
        loss.backward()
        found.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    theirs, ours = found
    assert (
        ours - theirs
    ).norm() < 0.1 * theirs.norm()  # bf16's own error over the network: docs/decisions/0019-loop.md
