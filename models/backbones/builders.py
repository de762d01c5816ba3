"""pytorchvideo's builders, without torchvision, and the backbone that most of them make.

pytorchvideo imports torchvision for one operator of its detection heads. On a CPU build of torch the packaged
torchvision does not even import, and nothing here detects, so a placeholder stands in while pytorchvideo is imported
and is taken away again.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from models.backbones.family import Backbone


class _RoIAlign:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("detection heads need torchvision")


@contextmanager
def _placeholder() -> Iterator[None]:
    if "torchvision" in sys.modules:
        yield
        return
    package, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    package.ops, ops.RoIAlign = ops, _RoIAlign  # type: ignore[attr-defined]
    sys.modules |= {"torchvision": package, "torchvision.ops": ops}
    try:
        yield
    finally:
        del sys.modules["torchvision"], sys.modules["torchvision.ops"]


with _placeholder(), warnings.catch_warnings():
    # fvcore, which pytorchvideo imports, compiles a loss with torch.jit.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
    from pytorchvideo.models.csn import create_csn
    from pytorchvideo.models.r2plus1d import create_r2plus1d
    from pytorchvideo.models.resnet import create_resnet
    from pytorchvideo.models.slowfast import create_slowfast
    from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers
    from pytorchvideo.models.x3d import create_x3d

__all__ = [
    "PooledBlocks",
    "create_csn",
    "create_multiscale_vision_transformers",
    "create_r2plus1d",
    "create_resnet",
    "create_slowfast",
    "create_x3d",
    "stages_of",
]


class PooledBlocks(Backbone):
    """Blocks one after the other, whose last maps are averaged over space: ``clip_BCTHW`` to ``features_BTD``.

    Args:
        blocks: Without a classifier.
        num_features: Channels of the last maps.
        num_steps: Steps that are left of the frames.
    """

    def __init__(self, blocks: Iterable[nn.Module], num_features: int, num_steps: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.num_steps = num_steps
        self.blocks = nn.Sequential(*blocks)
        self.stages = stages_of(self.blocks)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        maps_BDTHW: Tensor = self.blocks(clip_BCTHW)
        return maps_BDTHW.mean((3, 4)).transpose(1, 2)


def stages_of(blocks: nn.Sequential) -> tuple[str, ...]:
    """:attr:`Backbone.stages` of a backbone whose weights all lie in ``blocks``: a pooling between them has none."""
    return tuple(f"blocks.{name}" for name, block in blocks.named_children() if any(True for _ in block.parameters()))
