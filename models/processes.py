"""One process, or many that divide each batch among them (``torchrun``).

Processes exchange the sum of their clips' gradients and the number of their clips, so that the mean is that of the
whole batch however unevenly it was divided.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn

from models.share import ALONE, Share


class Group:
    """The processes of a job; without :func:`joined` this one alone.

    Args:
        share: This one's part.
        control: A group over which numbers on the CPU are exchanged, without waiting for the device.

    Attributes:
        num_clips: In this process's part of the batch that is under way; 0 while one stands in that counts nothing.
    """

    def __init__(self, share: Share = ALONE, control: Any = None) -> None:
        self.share = share
        self.num_clips = 0
        self._control = control

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.share.index == 0

    def average_gradients(self, weights: Sequence[nn.Parameter], num_clips: int) -> None:
        """Replace gradients, means over ``num_clips`` of this process, by the mean over the clips of all."""
        if self.share.of == 1:
            return
        trained = [weight for weight in weights if weight.requires_grad]
        counts = [num_clips, *(float(weight.grad is not None) for weight in trained)]
        sums = [torch.zeros_like(each) if each.grad is None else each.grad * num_clips for each in trained]
        device = trained[0].device
        flat = self.summed(torch.cat([*(each.reshape(-1) for each in sums), torch.tensor(counts, device=device)]))
        tail = len(flat) - len(counts)
        has_gradient = (flat[tail + 1 :] > 0).tolist()
        start = 0
        for weight, total, reached in zip(trained, sums, has_gradient, strict=True):
            mean = flat[start : start + weight.numel()].view(total.shape) / flat[tail]
            weight.grad = total.copy_(mean) if reached else None
            start += weight.numel()

    def average_buffers(self, module: nn.Module) -> None:
        """Replace running statistics by their mean over processes."""
        if self.share.of == 1:
            return
        for buffer in module.buffers():
            if buffer.is_floating_point():
                distributed.all_reduce(buffer)
                buffer /= self.share.of

    def stacked(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, of the same shape and where they compute, one after the other."""
        tensors = [torch.empty_like(tensor) for _ in range(self.share.of)]
        distributed.all_gather(tensors, tensor)
        return torch.stack(tensors)

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over processes, in place of ``tensor``."""
        distributed.all_reduce(tensor)
        return tensor

    def total(self, *numbers: float) -> list[float]:
        """The sum over processes of each number."""
        if self.share.of == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums, group=self._control)
        totals: list[float] = sums.tolist()
        return totals

    def any(self, *flags: bool) -> list[bool]:
        """Whether a flag is set in any process, for each flag."""
        return [number > 0 for number in self.total(*map(float, flags))]

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """The tensors, on the CPU and of the same shape, of all processes."""
        if self.share.of == 1:
            return [tensor]
        tensors = [torch.empty_like(tensor) for _ in range(self.share.of)]
        distributed.all_gather(tensors, tensor, group=self._control)
        return tensors


@contextmanager
def joined() -> Iterator[Group]:
    """The processes that ``torchrun`` started, or this one alone.

    They talk by NCCL where there are GPUs, each taking the one of its local rank, and by gloo elsewhere.
    """
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    if num_processes == 1:
        yield Group()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Group(Share(distributed.get_rank(), num_processes), distributed.new_group(backend="gloo"))
    finally:
        distributed.destroy_process_group()
