"""Concurrent requests share forward passes.

Shapes: N windows, C channels, T frames, S side of the model's input.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.registry.classifier import Inference

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiting:
    clip_NCTSS: Tensor
    since_s: float
    result: "asyncio.Future[Inference]"


class Batcher:
    """Collects what arrives while the model is busy, or within a moment, into one pass.

    It belongs to one model and one event loop, and lives as long as requests wait: a model that was replaced answers
    those that it has and is forgotten.
    """

    def __init__(
        self,
        infer: Callable[[Tensor], Inference],
        executor: Executor,
        *,
        max_windows: int,
        max_wait_s: float,
        seen: Callable[[int], None] = lambda num_videos: None,  # noqa: ARG005
    ) -> None:
        """Make a batcher.

        Args:
            infer: The model.
            executor: Where it runs.
            max_windows: In one pass; a video with more of them has a pass for itself.
            max_wait_s: Longest wait of a request for others.
            seen: Hears the number of videos in each pass.
        """
        self._infer = infer
        self._executor = executor
        self._max_windows = max_windows
        self._max_wait_s = max_wait_s
        self._seen = seen
        self._waiting: deque[_Waiting] = deque()
        self._full = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None

    async def infer(self, clip_NCTSS: Tensor) -> Inference:
        """What the model makes of the windows of one video."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(clip_NCTSS, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        if self._num_windows() >= self._max_windows:
            self._full.set()
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        return await waiting.result

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._patience()
                if batch := self._next_batch():
                    await self._answer(batch)
        finally:
            self._runner = None

    async def _patience(self) -> None:
        left_s = self._waiting[0].since_s + self._max_wait_s - asyncio.get_running_loop().time()
        if left_s > 0 and self._num_windows() < self._max_windows:
            self._full.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), left_s)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        num_windows = 0
        while self._waiting:
            first = self._waiting[0]
            if batch and num_windows + len(first.clip_NCTSS) > self._max_windows:
                break
            self._waiting.popleft()
            if not first.result.done():  # its client went away
                batch.append(first)
                num_windows += len(first.clip_NCTSS)
        return batch

    async def _answer(self, batch: Sequence[_Waiting]) -> None:
        self._seen(len(batch))
        try:
            found = await self._passed([waiting.clip_NCTSS for waiting in batch])
        except Exception as error:
            if len(batch) == 1:
                _set(batch[0], error)
                return
            logger.exception("a pass over %d videos failed; trying one by one", len(batch))
            for waiting in batch:
                await self._answer([waiting])
            return
        start = 0
        for waiting in batch:
            stop = start + len(waiting.clip_NCTSS)
            _set(waiting, Inference(found.probabilities_NK[start:stop], found.embedding_ND[start:stop]))
            start = stop

    async def _passed(self, clips: Sequence[Tensor]) -> Inference:
        def run() -> Inference:
            return self._infer(torch.cat(list(clips)))

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def _num_windows(self) -> int:
        return sum(len(waiting.clip_NCTSS) for waiting in self._waiting)


def _set(waiting: _Waiting, result: Inference | Exception) -> None:
    if waiting.result.done():
        return
    if isinstance(result, Exception):
        waiting.result.set_exception(result)
    else:
        waiting.result.set_result(result)
