"""What makes a job's numbers come out the same again: threads, algorithms, random states."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import deterministic

from models.processes import Group


@contextmanager
def reproducible(device: torch.device, num_threads: int, seed: int) -> Iterator[None]:
    """Compute, for a while, what the same arguments give again: to the byte on a CPU.

    The caller's random state and settings are as they were afterwards.

    Args:
        device: Where it is computed.
        num_threads: Of an operator on the CPU; sums depend on it.
        seed: Of all that is drawn without a generator of its own.
    """
    switch: Any = deterministic  # a module with a property, which type checkers do not see
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), switch.fill_uninitialized_memory
    torch.set_num_threads(num_threads)
    # On a GPU the fastest algorithms, found by trying, are worth more than the last bits of a sum.
    torch.use_deterministic_algorithms(device.type == "cpu")
    tried_before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, device.type == "cuda"
    switch.fill_uninitialized_memory = False  # it finds reads of what was never written, at 0.6 of the speed
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = tried_before
        switch.fill_uninitialized_memory = before[2]


def random_state(device: torch.device, group: Group) -> dict[str, list[Tensor]]:
    """Of every process."""
    state = {"cpu": group.gathered(torch.get_rng_state())}
    if device.type == "cuda":
        state["cuda"] = group.gathered(torch.cuda.get_rng_state(device))
    return state


def set_random_state(state: dict[str, list[Tensor]], device: torch.device, group: Group) -> None:
    """Go on where :func:`random_state` was taken."""
    torch.set_rng_state(state["cpu"][group.share.index].cpu())
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"][group.share.index].cpu(), device)
