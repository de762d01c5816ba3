"""What an answer costs: latency and size of a challenger, beside the champion's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor

from models.build import VideoModel
from models.clips.loader import ClipLoader
from models.exports.formats import read_program
from models.saved import WEIGHTS
from models.spec import AnyFormat
from tasks import layout
from tasks.exports.outcome import fastest_first, read_outcomes
from tasks.gate.verdict import Cost
from tasks.registry.names import FORMATS

Measure: TypeAlias = Callable[[Sequence[Callable[[Tensor], object]], Sequence[Sequence[Tensor]]], Sequence[float]]
"""As :func:`tasks.gate.latency.median_latencies_ms`."""

_MOST_CLIPS = 8
_DIGITS = 3


@dataclass(frozen=True)
class Contender:
    """A model and what was made of it.

    Attributes:
        model: On the device that would serve it.
        weights: Their file.
        formats: What became of its programs; a file that need not be there.
        programs: Their folder.
    """

    model: VideoModel
    weights: Path
    formats: Path
    programs: Path

    @classmethod
    def of_round(cls, model: VideoModel, workspace: Path) -> "Contender":
        """A round's."""
        return cls(model, workspace / layout.MODEL / WEIGHTS, workspace / layout.FORMATS, workspace / layout.PROGRAMS)

    @classmethod
    def registered(cls, model: VideoModel, folder: Path) -> "Contender":
        """A version's, from the folder of its model."""
        return cls(model, folder / WEIGHTS, folder / FORMATS, folder)

    @property
    def device(self) -> torch.device:
        """Where it answers."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def serving(self) -> tuple[AnyFormat, Callable[[Tensor], object]]:
        """The format that serving takes first, and what answers in it.

        Raises:
            UserError: What was found of the programs is damaged.
        """
        fastest = fastest_first(read_outcomes(self.formats))[0] if self.formats.is_file() else "torch"
        if fastest == "torch" or self.device.type != "cpu":  # programs are for a CPU
            return "torch", self.model
        return fastest, read_program(fastest, self.programs)


def cost_of(
    challenger: Contender,
    workspace: Path,
    clips: pd.DataFrame,
    measure: Measure,
    champion: Contender | None = None,
) -> Cost:
    """Measure what would serve, in turn with what serves the champion where there is one.

    Args:
        challenger: Whose cost is asked for.
        workspace: The round's folder.
        clips: Test clips, rows of its manifest; the first few are answered for.
        measure: Median latencies.
        champion: The champion, if there is one.

    Raises:
        UserError: A shard is missing or damaged.
    """
    contenders = [challenger, champion] if champion else [challenger]
    formats, answering = zip(*(each.serving() for each in contenders), strict=True)
    latencies_ms = measure(answering, [_ready(each, workspace, clips[:_MOST_CLIPS]) for each in contenders])
    sizes_mb = [round(each.weights.stat().st_size / 1e6, _DIGITS) for each in contenders]
    latency_ms, *their_latency_ms = (round(each, _DIGITS) for each in latencies_ms)
    cost = Cost(latency_ms, sizes_mb[0], format=formats[0])
    if not champion:
        return cost
    return replace(
        cost,
        champion_latency_ms=their_latency_ms[0], champion_size_mb=sizes_mb[1], champion_format=formats[1],
    )  # fmt: skip


def _ready(contender: Contender, workspace: Path, clips: pd.DataFrame) -> list[Tensor]:
    """Clips as the model takes them, one a batch: decoding is no part of what is measured."""
    clip_input = contender.model.clip_input
    loader = ClipLoader(workspace / layout.DATA, clips, [], clip_input, 1, device=contender.device)
    return [batch.clip_BCTHW for batch in loader.epoch(0)]
