"""The identity of weights and other tensors."""

import hashlib
from collections.abc import Mapping

from torch import Tensor


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of tensors, their names, types and shapes; where they lie and in which stride does not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
