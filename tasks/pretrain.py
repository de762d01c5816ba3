"""Pretrain the backbone on every clip of the training split, labelled or not: ``python -m tasks.pretrain``."""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from models.files import replacing
from models.spec import ModelParams, PretrainParams
from tasks import layout
from tasks.champion_note import champion_folder
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.pretrained import write_nothing
from tasks.process import run_stage
from tasks.settings import settings
from tasks.tracking import tracked

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def pretrain(
    base: BaseParams,
    model: ModelParams,
    params: PretrainParams,
    *,
    data: Path = layout.DATA,
    out: Path = layout.PRETRAINED,
) -> None:
    """Write the weights that search and fine-tuning start from.

    Only clips of the split ``train`` are seen. A run that was killed goes on from its newest checkpoint, which belongs
    to exactly these inputs.

    Args:
        base: Name and seed.
        model: Which network, and the weights that pretraining itself starts from.
        params: Section ``pretrain``, with an objective.
        data: The dataset's folder.
        out: File of the backbone's weights.

    Raises:
        UserError: The data are missing, the objective does not go with the family, or pretraining diverges.
    """
    import torch
    from safetensors.torch import save_file

    from models.build import build_model
    from models.pretrain.build import build_pretext
    from models.pretrain.loop import pretrain as train
    from models.pretrain.views import Views
    from tasks.job import pretraining_key
    from tasks.remote_shards import shards_of

    clips = _clips(data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = build_model(model, num_classes=2, seed=base.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(base.seed)
        pretext = build_pretext(network.backbone, network.clip_input, params).to(device)
    views = Views(
        data,
        clips,
        network.clip_input,
        params,
        pretext.num_views,
        seed=base.seed,
        num_workers=max(1, min(os.cpu_count() or 1, 8) // pretext.num_views),
        device=device,
        shards=shards_of(data),
    )
    checkpoint = settings().home / "checkpoints" / pretraining_key(model, params, data, seed=base.seed)
    with tracked("pretrain", base.name) as tracker:
        tracker.params({f"pretrain.{name}": value for name, value in params.model_dump(mode="json").items()})
        tracker.params({"num_clips": len(clips), "num_unlabelled": int(clips["label"].isna().sum())})
        train(
            pretext,
            views,
            params,
            seed=base.seed,
            checkpoint=checkpoint,
            checkpoint_s=settings().checkpoint_s,
            on_epoch=lambda epoch, loss: tracker.metrics({"pretrain_loss": loss}, step=epoch),
        )
    state = {name: tensor.cpu().contiguous() for name, tensor in pretext.backbone.state_dict().items()}
    with replacing(out) as temporary:
        save_file(state, temporary)
    shutil.rmtree(checkpoint, ignore_errors=True)


def main() -> None:
    """The stage."""
    params = load_params()
    if params.pretrain.objective == "none":
        write_nothing(layout.PRETRAINED)
    elif champion_folder(params.continual):
        logger.info("a champion is trained on from its own weights: nothing is pretrained")
        write_nothing(layout.PRETRAINED)
    else:
        pretrain(params.base, params.model, params.pretrain)


def _clips(data: Path) -> "pd.DataFrame":
    from models.clips.manifest import read_manifest

    path = data / layout.MANIFEST.name
    manifest = read_manifest(path)
    clips = manifest[manifest["split"] == "train"]
    if len(clips) < 2:
        raise UserError(f"{path}: split: {len(clips)} clip in train is too few to pretrain on; ingest more sources")
    return clips


if __name__ == "__main__":
    run_stage(main)
