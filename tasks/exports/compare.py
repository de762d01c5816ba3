"""Formats side by side on val clips: what they answer, how fast, in how much memory, and who is accepted.

Legend: N clips, B clips of a batch, D features, K classes.
"""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from models.build import probabilities_of
from models.exports.files import FILES
from models.exports.footprint import CLIPS, peak_memory_mb
from models.exports.formats import first_line
from models.exports.program import Program
from models.saved import WEIGHTS
from models.spec import AnyFormat
from tasks.exports.clips import ExportClips
from tasks.exports.outcome import Outcome
from tasks.gate.latency import median_latencies_ms
from tasks.params.quality import ExportParams

_BATCH_SIZES = (1, 8)
_DIGITS = 6
_SAME = 1e-6


@dataclass(frozen=True)
class _Answer:
    probabilities_NK: NDArray[np.float32]
    embedding_ND: NDArray[np.float32]

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.probabilities_NK).all() and np.isfinite(self.embedding_ND).all())


def compared(
    programs: Mapping[AnyFormat, Program], params: ExportParams, clips: ExportClips, model: Path, made: Path
) -> dict[AnyFormat, Outcome]:
    """The outcome of each of ``programs``, in their order.

    Args:
        programs: By format; ``torch`` is the model itself.
        params: When they are accepted.
        clips: To answer for.
        model: Folder of the model.
        made: Folder of the programs' files.
    """
    answers, failed = _answers(programs, clips)
    latencies_ms = _latencies_ms({name: programs[name] for name in answers}, clips)
    outcomes: dict[AnyFormat, Outcome] = {}
    with tempfile.TemporaryDirectory() as temporary:
        batch = Path(temporary) / "clips.safetensors"
        save_file({CLIPS: clips.some(max(_BATCH_SIZES)).contiguous()}, batch)
        for name in programs:
            if name in failed:
                outcomes[name] = Outcome(False, failed[name])
                continue
            folder, file = (model, WEIGHTS) if name == "torch" else (made, FILES[name])
            try:
                memory_mb = peak_memory_mb(name, folder, batch)
            except RuntimeError as error:
                outcomes[name] = Outcome(False, str(error))
                continue
            costs = _Costs(round((folder / file).stat().st_size / 1e6, _DIGITS), latencies_ms[name], memory_mb)
            outcomes[name] = _outcome(name, answers[name], answers["torch"], clips, params, costs)
    return outcomes


def _answers(
    programs: Mapping[AnyFormat, Program], clips: ExportClips
) -> tuple[dict[AnyFormat, _Answer], dict[AnyFormat, str]]:
    """What each says of the val clips, which are decoded once; and why some say nothing."""
    said: dict[AnyFormat, list[tuple[Tensor, Tensor]]] = {name: [] for name in programs}
    failed: dict[AnyFormat, str] = {}
    with torch.inference_mode():
        for clip_BCTHW in clips.comparison():
            for name, program in programs.items():
                if name in failed:
                    continue
                try:
                    said[name].append(program(clip_BCTHW))
                except Exception as error:  # runtimes raise what they like
                    if name == "torch":
                        raise
                    failed[name] = f"it does not answer: {first_line(error)}"
    return {name: _joined(each, clips.multi_label) for name, each in said.items() if name not in failed}, failed


def _joined(batches: list[tuple[Tensor, Tensor]], multi_label: bool) -> _Answer:
    logits_NK = torch.cat([logits_BK for logits_BK, _ in batches])
    embedding_ND = torch.cat([embedding_BD for _, embedding_BD in batches])
    return _Answer(probabilities_of(logits_NK, multi_label=multi_label).numpy(), embedding_ND.numpy())


def _latencies_ms(programs: Mapping[AnyFormat, Program], clips: ExportClips) -> dict[AnyFormat, dict[str, float]]:
    found: dict[AnyFormat, dict[str, float]] = {name: {} for name in programs}
    for size in _BATCH_SIZES:
        medians = median_latencies_ms(list(programs.values()), [[clips.some(size)]] * len(programs))
        for name, milliseconds in zip(programs, medians, strict=True):
            found[name][str(size)] = round(milliseconds, 3)
    return found


@dataclass(frozen=True)
class _Costs:
    size_mb: float
    latency_ms: dict[str, float]
    memory_mb: float | None


def _outcome(
    name: AnyFormat, answer: _Answer, models: _Answer, clips: ExportClips, params: ExportParams, costs: _Costs
) -> Outcome:
    if not answer.is_finite:
        return Outcome(False, "it answers with numbers that are not finite", **vars(costs))
    max_difference = float(np.abs(answer.probabilities_NK - models.probabilities_NK).max())
    accuracy, models_accuracy = (clips.score(each.probabilities_NK) for each in (answer, models))
    shift = shift_of(answer.embedding_ND, models.embedding_ND)
    reason = ""
    if name == "int8" and math.isnan(models_accuracy):
        reason = "no clip to compare on has any label, so that nobody knows how well it ranks them"
    elif name == "int8" and models_accuracy - accuracy > params.int8_max_accuracy_drop:
        reason = (
            f"{clips.measure.name} on val falls from {models_accuracy:.3f} to {accuracy:.3f}, by more than "
            f"export.int8_max_accuracy_drop ({params.int8_max_accuracy_drop:g})"
        )
    elif name == "int8" and shift > params.int8_max_shift:
        reason = (
            f"its embeddings move by {shift:.2f} standard deviations, more than export.int8_max_shift "
            f"({params.int8_max_shift:g}): the watch would take that for drift"
        )
    elif name != "int8" and max_difference > params.tolerance:
        reason = f"a probability differs by {max_difference:.2g}, more than export.tolerance ({params.tolerance:g})"
    return Outcome(
        not reason,
        reason,
        max_difference=round(max_difference, _DIGITS),
        accuracy=None if math.isnan(accuracy) else round(accuracy, _DIGITS),
        shift=round(shift, _DIGITS),
        **vars(costs),
    )


def shift_of(embedding_ND: NDArray[np.float32], models_ND: NDArray[np.float32]) -> float:
    """How far the mean embedding lies from the model's: feature by feature in standard deviations, root mean square."""
    deviation_D = models_ND.std(0)
    varies_D = deviation_D > _SAME * np.abs(models_ND).max()
    if not varies_D.any():
        return 0.0
    shift_D = (embedding_ND - models_ND).mean(0)[varies_D] / deviation_D[varies_D]
    return float(np.sqrt((shift_D**2).mean()))
