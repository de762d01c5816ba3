"""What the watch compares new video with: ``python -m tasks.reference``.

Clips that the model did not train on, as the model sees them. Their rows travel with the registered version, so that a
champion is always watched against its own reference. Some of the clips that it did train on (split ``train``) are there
too, of every source as far as there is room: what has to be fitted on neither side, such as the watch's projection, is
fitted on them, and they say which sources were trained on.
"""

import logging
from pathlib import Path

import pandas as pd
import torch

from models.clips.manifest import PSEUDO, read_manifest
from models.clips.shards import ClipStore, Shards
from models.errors import UserError
from models.saved import load_model
from tasks import layout
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.remote_shards import shards_of
from tasks.report.sheets import contact_sheet
from tasks.watch.outputs import outputs_of, write_watched

logger = logging.getLogger(__name__)

_MOST_TRAINED_ON = 4096
_MOST_PICTURES, _PICTURE_WIDTH = 400, 96


def reference(
    base: BaseParams,
    *,
    data: Path = layout.DATA,
    model: Path = layout.MODEL,
    out: Path = layout.REFERENCE,
) -> None:
    """Write the reference of the fine-tuned model.

    Args:
        base: Name and seed.
        data: The dataset's folder.
        model: Folder of the fine-tuned model.
        out: The file; see :mod:`tasks.watch.outputs`.

    Raises:
        UserError: No labelled clip is in val or test, or data or model are unreadable.
    """
    tuned, card = load_model(model)
    tuned.to("cuda" if torch.cuda.is_available() else "cpu")
    clips = _clips(read_manifest(data / layout.MANIFEST.name), data / layout.MANIFEST.name, base.seed)
    shards = shards_of(data)
    shown = clips.assign(picture=_pictures(clips, shards, base.seed))
    outputs = outputs_of(tuned, card["labels"], data, shown, shards=shards)
    write_watched(outputs, out, weights_sha256=card["weights_sha256"])
    held_out = outputs.clips[outputs.clips["split"] != "train"]
    logger.info("reference: %d clips of %d sources", len(held_out), held_out["source_id"].nunique())


def main() -> None:
    """The stage."""
    reference(load_params().base)


def _clips(manifest: pd.DataFrame, path: Path, seed: int) -> pd.DataFrame:
    labelled = manifest[manifest["label"].notna() & (manifest["label_origin"] != PSEUDO)]
    held_out = labelled[labelled["split"].isin(["val", "test"])]
    if held_out.empty:
        raise UserError(f"{path}: split: no labelled clip is in val or test; ingest more sources")
    trained_on = _spread(manifest[manifest["split"] == "train"], _MOST_TRAINED_ON, seed)
    return pd.concat([held_out, trained_on]).sort_values("clip_id", ignore_index=True)


def _spread(clips: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """At most ``most`` of ``clips``, drawn at random after one of each source.

    The gate and the watch take a source that the reference lacks for one that was not trained on.
    """
    if len(clips) <= most:
        return clips
    drawn = clips.sample(frac=1.0, random_state=seed)
    is_first_N = ~drawn["source_id"].duplicated()
    return pd.concat([drawn[is_first_N], drawn[~is_first_N]]).head(most)


def _pictures(clips: pd.DataFrame, shards: Shards, seed: int) -> "pd.Series[str]":
    """A few frames of clips that were not trained on: what the watch shows beside clips that moved."""
    held_out = clips[clips["split"] != "train"]
    shown = held_out.sample(min(len(held_out), _MOST_PICTURES), random_state=seed)
    store = ClipStore(shards)
    sheets = [
        contact_sheet(store, shard, row, columns=3, rows=1, width=_PICTURE_WIDTH).uri
        for shard, row in zip(shown["shard"], shown["row"], strict=True)
    ]
    return pd.Series(sheets, index=shown.index, dtype=object).reindex(clips.index)


if __name__ == "__main__":
    run_stage(main)
