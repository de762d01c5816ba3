"""Inflated networks say of a still clip what the 2D network says of its picture."""

import pytest
import torch
from torch import Tensor, nn

from models.backbones.family import load_family
from models.backbones.inflation import resnet_inflated

STAGES = {"c2d": (1, 3, 4, 5), "i3d": (1, 3, 4, 5), "slow": (1, 2, 3, 4)}


class Bottleneck(nn.Module):
    def __init__(self, channels: int, inner: int, stride: int, widen: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        if widen:
            shortcut = nn.Conv2d(channels, 4 * inner, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * inner))

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(maps)).relu())).relu()
        shortcut = self.downsample(maps) if hasattr(self, "downsample") else maps
        return (self.bn3(self.conv3(inner)) + shortcut).relu()


class ResNet50(nn.Module):
    """As torchvision has it, names included."""

    def __init__(self, stem: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem)
        channels = stem
        for layer, depth in enumerate((3, 4, 6, 3)):
            blocks = []
            for index in range(depth):
                stride = 2 if layer and not index else 1
                blocks.append(Bottleneck(channels, stem * 2**layer, stride, widen=index == 0))
                channels = 4 * stem * 2**layer
            self.add_module(f"layer{layer + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, 10)

    def features(self, pictures_BCHW: Tensor) -> Tensor:
        maps = nn.functional.max_pool2d(self.bn1(self.conv1(pictures_BCHW)).relu(), 3, 2, 1)
        for layer in range(1, 5):
            maps = self.get_submodule(f"layer{layer}")(maps)
        return maps.mean((2, 3))


@pytest.mark.parametrize("name", STAGES)
def test_a_still_clip_is_its_picture(name: str) -> None:
    torch.manual_seed(0)
    flat = ResNet50(stem=2).eval()
    for module in flat.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    backbone = load_family(name).build(load_family(name).flavours["debug"]).eval()
    shapes = {key: tensor.shape for key, tensor in backbone.state_dict().items()}
    backbone.load_state_dict(resnet_inflated(STAGES[name])(flat.state_dict(), shapes))
    picture_BCHW = torch.randn(2, 3, 32, 32)
    # Long enough that the middle does not see where padding ends the clip.
    still_BCTHW = picture_BCHW[:, :, None].expand(-1, -1, 48, -1, -1)
    with torch.inference_mode():
        features_BTD = backbone(still_BCTHW)
        torch.testing.assert_close(features_BTD[:, features_BTD.shape[1] // 2], flat.features(picture_BCHW))


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("flavour", ["8x8", "8x112"])
def test_every_tensor_of_the_published_resnet_has_its_place(name: str, flavour: str) -> None:
    family = load_family(name)
    with torch.device("meta"):
        flat, backbone = ResNet50(stem=64), family.build(family.flavours[flavour])
    shapes = {key: tensor.shape for key, tensor in backbone.state_dict().items()}
    state = family.weights["imagenet"][flavour].convert(flat.state_dict(), shapes)  # type: ignore[attr-defined]
    assert {key: tensor.shape for key, tensor in state.items()} == shapes
    assert len(flat.state_dict()) == len(state) + 2  # the classifier
