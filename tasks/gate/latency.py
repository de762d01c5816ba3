"""How long models take for one clip.

Models are timed in turn, clip by clip: whatever else the machine does slows all of them alike. The median forgets the
passes that were interrupted.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor

from models.inference import one_thread_each

_WARM_UP, _FEWEST, _MOST = 3, 5, 40
_LIMIT_S = 20.0


def median_latencies_ms(
    models: Sequence[Callable[[Tensor], object]],
    clips_by_model: Sequence[Sequence[Tensor]],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """The median time of a forward pass of each model, in milliseconds.

    After a warm-up each model answers for the same clips, 40 times or as often as 20 seconds allow, at least 5 times.
    Each goes first as often as last. On a CPU a pass has one thread: cores that are free now may not be tomorrow.

    Args:
        models: In eval mode, on the device of their clips.
        clips_by_model: For each model ``clip_BCTHW`` of one clip (B = 1), as many for each; passes go through them in
            turn.
        clock: Seconds from a time that stays.
    """
    times_ms: list[list[float]] = [[] for _ in models]

    def passed(at: int, number: int) -> float:
        clip_BCTHW = clips_by_model[at][number % len(clips_by_model[at])]
        began = clock()
        models[at](clip_BCTHW)
        if clip_BCTHW.device.type == "cuda":
            torch.cuda.synchronize(clip_BCTHW.device)
        return 1000 * (clock() - began)

    with torch.inference_mode(), one_thread_each():
        for number in range(_WARM_UP):
            for at in range(len(models)):
                passed(at, number)
        began = clock()
        for number in range(_MOST):
            if number >= _FEWEST and clock() - began > _LIMIT_S:
                break
            turns = range(len(models))
            for at in turns if number % 2 == 0 else reversed(turns):
                times_ms[at].append(passed(at, number))
    return [median(each) for each in times_ms]
