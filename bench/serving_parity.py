"""Does every format of a model say the same, and what does it cost? ``python -m bench.serving_parity DATA MODEL``.

DATA is a dataset's folder and MODEL a saved model's (``data`` and ``results/fine_tune/model`` of a round). Formats
answer for the same held-out clips, in turn, on one thread of the CPU each; accuracy is beside the model's own.
"""

import argparse
import logging
import tempfile
from pathlib import Path
from typing import get_args

from bench.machine import describe
from models.exports.formats import write_programs
from models.exports.program import Answering, Program
from models.inference import one_thread_each
from models.saved import load_model
from models.spec import AnyFormat, Format
from tasks import layout
from tasks.exports.clips import ExportClips
from tasks.exports.compare import compared
from tasks.exports.outcome import Outcome
from tasks.params.quality import ExportParams


def main() -> None:
    """Export, compare, print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("model", type=Path)
    arguments.add_argument("--clips", type=int, default=200, help="held-out clips to answer for")
    given = arguments.parse_args()
    logging.disable(logging.INFO)
    print(describe("torch", "onnx", "onnxruntime"))
    model, card = load_model(given.model)
    params = ExportParams()
    clips = ExportClips(
        given.data / layout.MANIFEST.name,
        given.data,
        card["labels"],
        model.clip_input,
        num_train=params.calibration_clips,
        num_compared=given.clips,
        seed=0,
        compared_on=("val", "test"),
    )
    sources = clips.compared["source_id"].nunique()
    print(f"{card['model']['family']} {card['model']['flavour']}, {len(clips.compared)} clips of {sources} sources")
    with tempfile.TemporaryDirectory() as folder, one_thread_each():
        made, failed = write_programs(model, get_args(Format), clips.calibration, Path(folder))
        programs: dict[AnyFormat, Program] = {"torch": Answering(model)}
        programs.update(made.items())
        outcomes = compared(programs, params, clips, given.model, Path(folder))
    columns = {"MB": 8, "ms for 1": 10, "ms for 8": 10, "peak MB": 9, "difference": 12, "accuracy": 10, "shift": 8}
    print(" " * 6 + "".join(f"{title:>{width}}" for title, width in columns.items()))
    for name, outcome in outcomes.items():
        _line(name, outcome, outcomes["torch"])
    for name, reason in failed.items():
        print(f"{name:6}{reason}")


def _line(name: str, outcome: Outcome, model: Outcome) -> None:
    if outcome.accuracy is None or outcome.latency_ms is None or model.accuracy is None:
        print(f"{name:6}{outcome.reason}")
        return
    peak_mb = "" if outcome.memory_mb is None else f"{outcome.memory_mb:.0f}"
    print(
        f"{name:6}{outcome.size_mb:>8.1f}{outcome.latency_ms['1']:>10.1f}{outcome.latency_ms['8']:>10.1f}{peak_mb:>9}"
        f"{outcome.max_difference:>12.2g}{outcome.accuracy - model.accuracy:>+10.3f}{outcome.shift:>8.3f}"
        f"  {outcome.reason or 'accepted'}"
    )


if __name__ == "__main__":
    main()
