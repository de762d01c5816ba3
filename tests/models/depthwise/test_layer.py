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
