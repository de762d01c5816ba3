"""What an answer costs: latency and size of a challenger, beside the champion's."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor

from models.build import VideoModel
from models.clips.loader import ClipLoader
from models.saved import WEIGHTS
from tasks import layout
from tasks.gate.verdict import Cost

Measure: TypeAlias = Callable[[Sequence[VideoModel], Sequence[Sequence[Tensor]]], Sequence[float]]
"""As :func:`tasks.gate.latency.median_latencies_ms`."""

_MOST_CLIPS = 8
_DIGITS = 3


def cost_of(
    model: VideoModel,
    folder: Path,
    workspace: Path,
    clips: pd.DataFrame,
    measure: Measure,
    champion: tuple[VideoModel, Path] | None = None,
) -> Cost:
    """Measure a model, in turn with the champion where there is one, on the device that it is on.

    Args:
        model: The challenger.
        folder: Where its weights lie.
        workspace: The round's folder.
        clips: Test clips, rows of its manifest; the first few are answered for.
        measure: Median latencies.
        champion: The champion and where its weights lie, if there is one.

    Raises:
        UserError: A shard is missing or damaged.
    """
    models, folders = [model], [folder]
    if champion:
        models.append(champion[0])
        folders.append(champion[1])
    latencies_ms = measure(models, [_ready(each, workspace, clips[:_MOST_CLIPS]) for each in models])
    latency_ms, *their_latency_ms = (round(each, _DIGITS) for each in latencies_ms)
    size_mb, *their_size_mb = (round((each / WEIGHTS).stat().st_size / 1e6, _DIGITS) for each in folders)
    return Cost(latency_ms, size_mb, *their_latency_ms, *their_size_mb)


def _ready(model: VideoModel, workspace: Path, clips: pd.DataFrame) -> list[Tensor]:
    """Clips as the model takes them, one a batch: decoding is no part of what is measured."""
    device: torch.device = next(model.parameters()).device
    loader = ClipLoader(workspace / layout.DATA, clips, [], model.clip_input, 1, device=device)
    return [batch.clip_BCTHW for batch in loader.epoch(0)]
