"""Which of a version's programs answers: the fastest that gives, on this machine, the answer of its registration.

On a GPU the model itself answers: the programs are for a CPU.
"""

import json
import logging
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models.errors import UserError
from models.spec import AnyFormat
from tasks.exports.outcome import fastest_first, read_outcomes
from tasks.registry.classifier import Answer, VideoClassifier
from tasks.registry.names import EXAMPLE, EXAMPLE_ANSWER, FORMATS
from tasks.video.clips import WHOLE, Job
from tasks.video.decode import decode

logger = logging.getLogger(__name__)

EXAMPLE_LIMIT_S = 10.0
# Kernels differ between processors; a model that was mixed up differs by far more.
_TOLERANCE = 0.02
_PASSES = 5


def choose(
    folder: Path, device: str = "cpu", wanted: AnyFormat | Literal[""] = "", *, measure: bool = False
) -> VideoClassifier:
    """The version in ``folder``, ready to answer.

    Args:
        folder: A model's folder, which was checked before.
        device: Where it answers.
        wanted: This format and no other; empty for the fastest. What does not hold is skipped with a warning.
        measure: Time all formats here; else their order is that of the machine that exported them, and only as many are
            read as it takes to find one that holds.

    Raises:
        UserError: What is wanted is not there or does not hold, or the folder is damaged.
    """
    formats = _accepted(folder)
    if wanted:
        if wanted not in formats or (wanted != "torch" and device != "cpu"):
            there = ", ".join(formats if device == "cpu" else ["torch"])
            raise UserError(f"VIDEOLOOP_SERVE_FORMAT: {wanted!r} cannot answer on {device}; these can: {there}")
        return _held(folder, device, wanted)
    if device != "cpu":
        return VideoClassifier.load(folder, device)
    holding = []
    for name in formats:
        try:
            holding.append(_held(folder, device, name))
        except Exception as error:  # runtimes raise what they like
            if name == "torch":
                raise
            logger.warning("the %s program does not answer here, another format does: %s", name, error)
            continue
        if not measure:
            break
    return min(holding, key=_seconds) if len(holding) > 1 else holding[0]


def difference(classifier: VideoClassifier, answer: Answer, registered: dict[str, Any]) -> str:
    """What tells ``answer``, of the registered example, from the registered one; empty where nothing does."""
    if answer.error != registered["error"]:
        return f"of its example it says {answer.error or 'nothing'!r}, not {registered['error']!r}"
    expected = registered.get("by_format", {}).get(classifier.format, registered["probabilities"])
    if list(answer.probabilities) != list(expected):
        return "its labels are not those that were registered"
    values, wanted = np.array(list(answer.probabilities.values())), np.array(list(expected.values()))
    if not np.isfinite(values).all():
        return "the probabilities of its example are not finite"
    if not (np.abs(values - wanted) <= _TOLERANCE).all():
        return f"the answer to its example differs by {float(np.abs(values - wanted).max()):.3f}"
    return ""


def _accepted(folder: Path) -> list[AnyFormat]:
    """Fastest first; of a version that was registered before there were programs, the model itself."""
    return fastest_first(read_outcomes(folder / FORMATS)) if (folder / FORMATS).is_file() else ["torch"]


def _held(folder: Path, device: str, name: AnyFormat) -> VideoClassifier:
    classifier = VideoClassifier.load(folder, device, name)
    if name != "torch":
        registered = json.loads((folder / EXAMPLE_ANSWER).read_text(encoding="utf-8"))
        if problem := difference(classifier, answer_to_example(classifier, folder), registered):
            raise UserError(f"its {name} program failed: {problem}")
    return classifier


def answer_to_example(classifier: VideoClassifier, folder: Path) -> Answer:
    """Of the video that was registered with the model: our own file, so that it needs no process of its own."""
    (clip,) = decode(Job(str(folder / EXAMPLE), (WHOLE,), classifier.recipe(EXAMPLE_LIMIT_S)))
    return classifier.answer(clip)


def _seconds(classifier: VideoClassifier) -> float:
    """The shortest of a few passes: what else the machine does, such as answering, only adds."""
    clip_NCTSS, times_s = classifier.noise(1), []
    for _ in range(1 + _PASSES):
        began_s = time.perf_counter()
        classifier.infer(clip_NCTSS)
        times_s.append(time.perf_counter() - began_s)
    return min(times_s[1:])
