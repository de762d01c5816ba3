"""Published weights of MViT: none come with a package; a safetensors file does."""

from collections.abc import Callable

from torch import Tensor

WEIGHTS: dict[str, Callable[[], dict[str, Tensor]]] = {}
