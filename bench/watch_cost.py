"""Seconds and memory of one whole check, embeddings being made: ``python -m bench.watch_cost``.

Everything that a check computes: MMD-FUSE, BBSD, facts, label shift, estimated accuracy, what moved, and the watch.
Reference and window are of the same size, 25 clips a source. Each size is measured in a process of its own.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable

import numpy as np

from bench.machine import describe
from tasks.statistics.bbsd import bbsd
from tasks.statistics.diagnostics import diagnose
from tasks.statistics.label_shift import label_shift
from tasks.statistics.mmd import mmd_fuse
from tasks.statistics.sequential import advance, start_watch
from tasks.statistics.source_days import Projection, SourceDay, fit_projection, source_days
from tasks.statistics.thresholded_confidence import estimated_accuracy, negative_entropy
from tasks.statistics.univariate import FACTS, compare_facts

_NUM_FEATURES = 512
_NUM_CLASSES = 10
_CLIPS_PER_SOURCE = 25


def main() -> None:
    """Measure each size and print a line a step."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = arguments.parse_args()
    print(describe("numpy", "scipy"))
    for num_clips in options.clips:
        process = multiprocessing.get_context("spawn").Process(target=_check, args=(num_clips,))
        process.start()
        process.join()


def _check(num_clips: int) -> None:
    rng = np.random.default_rng(0)
    sources = np.arange(num_clips) // _CLIPS_PER_SOURCE
    reference_ND, window_ND = (rng.standard_normal((num_clips, _NUM_FEATURES), np.float32) for _ in range(2))
    label_N = rng.integers(0, _NUM_CLASSES, num_clips)
    logit_NK = 3 * np.eye(_NUM_CLASSES)[label_N] + rng.standard_normal((num_clips, _NUM_CLASSES))
    probability_NK = np.exp(logit_NK) / np.exp(logit_NK).sum(1, keepdims=True)
    correct_N = probability_NK.argmax(1) == label_N
    facts = {fact: rng.standard_normal(num_clips) for fact in FACTS}
    names = [f"class {number}" for number in range(_NUM_CLASSES)]
    projection = fit_projection(reference_ND[:5000], sources[:5000], clips_per_unit=8)
    inputs_mb = _peak_mb()
    others = sources + len(sources)
    steps: dict[str, Callable[[], object]] = {
        "MMD-FUSE": lambda: mmd_fuse(reference_ND, sources, window_ND, others),
        "BBSD": lambda: bbsd(probability_NK, sources, probability_NK[::-1], others),
        "facts": lambda: compare_facts(facts, sources, facts, others),
        "label shift": lambda: label_shift(probability_NK, label_N, sources, probability_NK, others, names),
        "estimated accuracy": lambda: estimated_accuracy(
            negative_entropy(probability_NK), correct_N, sources, negative_entropy(probability_NK), others
        ),
        "what moved": lambda: diagnose(reference_ND, sources, window_ND, others),
        "the watch": lambda: _watched(projection, reference_ND, window_ND, sources, others),
    }
    seconds = {}
    for name, step in steps.items():
        started_s = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - started_s
    print(f"{num_clips:,} clips against {num_clips:,}: {sum(seconds.values()):.2f} s", end="")
    print(f", {_peak_mb():,.0f} MB at most, of which {inputs_mb:,.0f} MB before the first step")
    print("".join(f"    {name:20}{step_s:8.2f} s\n" for name, step_s in seconds.items()), end="", flush=True)


def _watched(
    projection: Projection, reference_ND: np.ndarray, window_ND: np.ndarray, sources: np.ndarray, others: np.ndarray
) -> None:
    def units(embedding_ND: np.ndarray, sources: np.ndarray) -> list[SourceDay]:
        return source_days(projection, embedding_ND, sources, ["2026-11-05"] * len(sources))[0]

    advance(start_watch(units(reference_ND, sources)), "2026-11-05", units(window_ND, others))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
