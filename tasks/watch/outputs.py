"""What a model makes of clips, with the facts of their video: of the reference at training, of the window at the watch.

Legend: N clips, D features, K classes.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel
from models.clips.loader import ClipLoader
from models.clips.shards import Shards
from models.inference import infer
from models.saved import thresholds_of
from tasks.labelling.outputs import Outputs, output_notes, read_outputs, write_outputs

FACTS = ("brightness", "contrast", "sharpness", "motion", "fps", "width", "height")
WEIGHTS_NOTE = "weights_sha256"

_BATCH = 16
_MORE = (
    pa.field("label", pa.string()),
    pa.field("split", pa.string()),
    pa.field("picture", pa.string()),
    *(pa.field(fact, pa.float32(), nullable=False) for fact in FACTS),
)


def outputs_of(
    model: VideoModel, labels: list[str], data: Path, clips: pd.DataFrame, *, shards: Shards | None = None
) -> Outputs:
    """Embeddings (backbone features, mean over time) and probabilities of ``clips``, rows of the manifest in ``data``.

    The model stays on the device that it is on; each clip goes through it once. Shards are in the folder ``data``, if
    ``shards`` does not say otherwise.
    """
    device = next(model.parameters()).device
    loader = ClipLoader(data, clips, labels, model.clip_input, _BATCH, device=device, shards=shards)

    def both(clip_BCTHW: Tensor) -> Tensor:
        features_BTD = model.features(clip_BCTHW)
        probabilities_BK = model.probabilities(model.logits(features_BTD))
        return torch.cat([features_BTD.mean(1).float(), probabilities_BK.float()], 1)

    both_NX = infer(model, both, loader, title="embed")[0].cpu().numpy()
    facts = clips.reindex(columns=["clip_id", "source_id", "captured_at", *(field.name for field in _MORE)])
    num_classes = len(labels)
    return Outputs(
        facts.reset_index(drop=True),
        _rows(both_NX[:, :-num_classes]),
        _rows(both_NX[:, -num_classes:]),
        labels,
        tuple(thresholds_of(model, num_classes)) if model.multi_label else None,
    )


def write_watched(outputs: Outputs, path: Path, *, weights_sha256: str) -> None:
    """Write ``outputs`` with label, split and facts, in a file that labelling reads too."""
    write_outputs(outputs, path, more=_MORE, notes={WEIGHTS_NOTE: weights_sha256})


def read_watched(path: Path) -> tuple[Outputs, str]:
    """What :func:`write_watched` wrote: the outputs, and the sha256 of the weights that made them.

    Raises:
        UserError: The file is missing, unreadable, or lacks a column.
    """
    return read_outputs(path, more=_MORE), output_notes(path).get(WEIGHTS_NOTE, "")


def _rows(values_NX: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values_NX, np.float32)
