"""pytorchvideo's builders, without torchvision.

pytorchvideo imports torchvision for one operator of its detection heads. On a CPU build of torch the packaged
torchvision does not even import, and nothing here detects, so a placeholder stands in while pytorchvideo is imported
and is taken away again.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn


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
    from pytorchvideo.models.resnet import ResBlock, create_resnet
    from pytorchvideo.models.x3d import create_x3d

__all__ = ["ResBlock", "create_resnet", "create_x3d", "stages_of"]


def stages_of(blocks: nn.Sequential) -> tuple[str, ...]:
    """:attr:`Backbone.stages` of a backbone whose weights all lie in ``blocks``: a pooling between them has none."""
    return tuple(f"blocks.{name}" for name, block in blocks.named_children() if any(True for _ in block.parameters()))
