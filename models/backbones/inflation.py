"""A 2D network becomes a 3D one that says the same of a still clip (Carreira and Zisserman 2017, arXiv:1705.07750).

Each kernel is repeated along time and divided by how often: over frames that are all the same the sum over time is the
2D response. At a clip's first and last frames padding takes a part of it away.
"""

import re
from collections.abc import Sequence

from torch import Tensor

from models.backbones.published import Convert, Shapes, State, renaming

IMAGENET_R50 = {"url": "https://download.pytorch.org/models/resnet50-0676ba61.pth", "sha256": "0676ba61"}
"""The ResNet-50 that torchvision publishes; the name of the file holds the first digits of its sha256."""

_CLASSIFIER = ("fc.weight", "fc.bias")
_IN_A_BLOCK = (
    ("downsample.0", "branch1_conv"),
    ("downsample.1", "branch1_norm"),
    ("conv1", "branch2.conv_a"),
    ("bn1", "branch2.norm_a"),
    ("conv2", "branch2.conv_b"),
    ("bn2", "branch2.norm_b"),
    ("conv3", "branch2.conv_c"),
    ("bn3", "branch2.norm_c"),
)


def resnet_inflated(stages: Sequence[int]) -> Convert:
    """From a 2D ResNet with bottlenecks, under the names of torchvision and timm, to pytorchvideo's.

    Args:
        stages: Which of the backbone's blocks the four stages are.
    """
    rules = [(r"conv1\.", "blocks.0.conv."), (r"bn1\.", "blocks.0.norm.")]
    for layer, block in enumerate(stages, start=1):
        for theirs, ours in _IN_A_BLOCK:
            pattern = rf"layer{layer}\.(\d+)\.{re.escape(theirs)}\."
            rules.append((pattern, rf"blocks.{block}.res_blocks.\1.{ours}."))
    rename = renaming(rules, ignored=_CLASSIFIER)

    def convert(state: State, shapes: Shapes) -> dict[str, Tensor]:
        return inflated(rename(state, shapes), shapes)

    return convert


def inflated(state: State, shapes: Shapes) -> dict[str, Tensor]:
    """Spread kernels over time where the backbone's have one; all else stays as it is."""
    return {
        name: kernel.unsqueeze(2).repeat(1, 1, shapes[name][2], 1, 1) / shapes[name][2]
        if kernel.dim() == 4 and len(shapes.get(name, ())) == 5
        else kernel
        for name, kernel in state.items()
    }
