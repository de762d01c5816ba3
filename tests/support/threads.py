"""Processes that train together as threads of one: what they exchange goes over a board instead of a network."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

from models.processes import Group
from models.share import Share

Result = TypeVar("Result")


class _Board:
    def __init__(self, num_threads: int) -> None:
        self.barrier = Barrier(num_threads, timeout=30)
        self.tensors: list[Tensor] = [torch.empty(0)] * num_threads


class ThreadGroup(Group):
    def __init__(self, share: Share, board: _Board) -> None:
        super().__init__(share)
        self._board = board

    def stacked(self, tensor: Tensor) -> Tensor:
        self._board.tensors[self.share.index] = tensor
        self._board.barrier.wait()
        together = torch.stack(self._board.tensors)
        self._board.barrier.wait()
        return together

    def summed(self, tensor: Tensor) -> Tensor:
        return self.stacked(tensor).sum(0)


def together(num_threads: int, run: Callable[[Group], Result]) -> list[Result]:
    """What each of them returns."""
    board = _Board(num_threads)
    groups = [ThreadGroup(Share(index, num_threads), board) for index in range(num_threads)]
    with ThreadPoolExecutor(num_threads) as executor:
        return list(executor.map(run, groups))
