"""Shapes: N windows; one number a window stands for a clip."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tasks.registry.classifier import Inference
from tasks.serve.batcher import Batcher


class Model:
    """Gives back its input; each pass is noted, and can be held up."""

    def __init__(self) -> None:
        self.passes: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.poison: float | None = None

    def infer(self, clip_N):
        self.gate.wait(10)
        self.passes.append(clip_N.tolist())
        if self.poison in clip_N.tolist():
            raise RuntimeError("out of memory")
        return Inference(clip_N[:, None].numpy(), -clip_N[:, None].numpy())


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def windows(*values: float):
    return torch.tensor(values)


def test_requests_that_come_together_share_a_pass(model, executor):
    seen = []
    batcher = Batcher(model.infer, executor, max_windows=8, max_wait_s=0.2, seen=seen.append)

    async def ask():
        return await asyncio.gather(*(batcher.infer(windows(float(number))) for number in range(5)))

    found = asyncio.run(ask())
    assert [result.probabilities_NK.item() for result in found] == [0, 1, 2, 3, 4]
    assert [result.embedding_ND.item() for result in found] == [0, -1, -2, -3, -4]
    assert (model.passes, seen) == ([[0, 1, 2, 3, 4]], [5])


def test_a_full_batch_does_not_wait_and_a_lone_request_waits_a_moment(model, executor):
    batcher = Batcher(model.infer, executor, max_windows=2, max_wait_s=60)

    async def ask():
        await asyncio.wait_for(asyncio.gather(*(batcher.infer(windows(float(n))) for n in range(4))), 5)

    asyncio.run(ask())
    assert model.passes == [[0, 1], [2, 3]]
    lone = Batcher(model.infer, executor, max_windows=2, max_wait_s=0.01)
    assert asyncio.run(lone.infer(windows(9.0))).probabilities_NK.item() == 9


def test_what_comes_while_the_model_is_busy_goes_together(model, executor):
    batcher = Batcher(model.infer, executor, max_windows=8, max_wait_s=0.0)

    async def ask():
        model.gate.clear()
        first = asyncio.create_task(batcher.infer(windows(0.0)))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.infer(windows(float(n)))) for n in range(1, 4)]
        await asyncio.sleep(0.05)
        model.gate.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert model.passes == [[0], [1, 2, 3]]


def test_a_video_of_many_windows_gets_all_its_own(model, executor):
    batcher = Batcher(model.infer, executor, max_windows=3, max_wait_s=0.05)

    async def ask():
        return await asyncio.gather(
            batcher.infer(windows(1, 2)), batcher.infer(windows(3, 4)), batcher.infer(windows(5, 6, 7, 8, 9))
        )

    found = asyncio.run(ask())
    assert [result.probabilities_NK.ravel().tolist() for result in found] == [[1, 2], [3, 4], [5, 6, 7, 8, 9]]
    assert model.passes == [[1, 2], [3, 4], [5, 6, 7, 8, 9]]


def test_a_pass_that_fails_is_tried_one_by_one(model, executor):
    model.poison = 2.0
    batcher = Batcher(model.infer, executor, max_windows=8, max_wait_s=0.05)

    async def ask():
        return await asyncio.gather(*(batcher.infer(windows(float(n))) for n in range(4)), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[2], RuntimeError)
    assert [result.probabilities_NK.item() for at, result in enumerate(found) if at != 2] == [0, 1, 3]


def test_a_client_that_went_away_costs_no_pass(model, executor):
    batcher = Batcher(model.infer, executor, max_windows=8, max_wait_s=0.1)

    async def ask():
        gone = asyncio.create_task(batcher.infer(windows(1.0)))
        stays = asyncio.create_task(batcher.infer(windows(2.0)))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert np.allclose(asyncio.run(ask()).probabilities_NK, 2.0)
    assert model.passes == [[2]]
