"""Fine-tune the model with the search's best values: ``python -m tasks.fine_tune``.

By several processes of one machine or more: ``torchrun --nproc-per-node 2 -m tasks.fine_tune``.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from models.errors import UserError
from models.file_digest import sha256_of
from models.files import replacing
from models.loop import Epoch
from models.processes import Group, joined
from models.saved import read_card, read_clip_ids, save_model
from models.spec import ContinualParams, FineTuneParams, ModelParams
from tasks import layout
from tasks.calibrate import calibrate
from tasks.champion_note import champion_folder
from tasks.feature_cache import feature_cache
from tasks.initial_weights import with_local_weights
from tasks.job import job, job_key
from tasks.overrides import apply_overrides
from tasks.params.training import FinalJobParams
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.pretrained import started_from
from tasks.process import run_stage
from tasks.settings import settings
from tasks.teacher import teacher_note
from tasks.tracking import tracked, untracked
from tasks.training_clips import labelled_clip_ids

logger = logging.getLogger(__name__)

_CURVES = ["epoch", "phase", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"]


def fine_tune(
    base: BaseParams,
    model: ModelParams,
    fine_tune: FinalJobParams,
    *,
    continual: ContinualParams | None = None,
    champion: Path | None = None,
    data: Path = layout.DATA,
    best_params: Path = layout.BEST_PARAMS,
    out: Path = layout.MODEL,
    curves: Path = layout.CURVES,
    group: Group | None = None,
) -> None:
    """Train the model that is kept, and write it and its learning curves.

    A run that was killed goes on from its newest checkpoint, which belongs to exactly these inputs.

    Args:
        base: Name and seed.
        model: Which network.
        fine_tune: The job; the fields in its ``from_search`` are taken from ``best_params``.
        continual: How a champion is trained on without forgetting; default: as the section's defaults say.
        champion: Folder of the model to start from; None for a cold start.
        data: The dataset's folder.
        best_params: What the search found.
        out: Folder of the model.
        curves: Table of the epochs.
        group: The processes that train together, each of which calls this; the first one writes and tracks.

    Raises:
        UserError: The data or the search's result are missing or do not fit the parameters, or training diverges.
    """
    found = _searched(best_params, fine_tune.from_search)
    params = fine_tune.job
    model, params = apply_overrides(model, params, found)
    group = group or Group()
    local = model if champion else with_local_weights(model)
    start: dict[str, Any] = {"continual": continual or ContinualParams(), "champion": champion}
    checkpoint = settings().home / "checkpoints" / job_key(local, params, data, seed=base.seed, **start)
    with tracked("fine_tune", base.name) if group.is_first else untracked() as tracker:
        tracker.params({**_flat("model", model.model_dump()), **_flat("fine_tune", params.model_dump())})
        trained, labels, epochs = job(
            local,
            params,
            data,
            seed=base.seed,
            **start,
            checkpoint=checkpoint,
            checkpoint_s=settings().checkpoint_s,
            group=group,
            feature_cache=feature_cache(),
            on_epoch=lambda epoch: tracker.metrics(_metrics(epoch), step=epoch.epoch),
        )
        tracker.params({"num_parameters": sum(weights.numel() for weights in trained.parameters())})
        is_calibrated = fine_tune.calibration == "temperature"
        if group.is_first and (is_calibrated or trained.multi_label):
            calibrate(trained, labels, data, params.batch_size, temperature=is_calibrated)
            tracker.metrics({"temperature": trained.temperature})
    if not group.is_first:
        return
    _write_curves(epochs, curves)
    clip_ids = labelled_clip_ids(data) | (read_clip_ids(champion) if champion else set())
    configuration = _configuration(base, params, **start)
    if local != model:
        configuration["initial_weights_sha256"] = sha256_of(Path(local.weights))
    save_model(out, trained, model, labels, configuration, clip_ids)
    shutil.rmtree(checkpoint, ignore_errors=True)


def main() -> None:
    """The stage."""
    params = load_params()
    champion = champion_folder(params.continual)
    model = started_from(params.model)
    with joined() as group:
        fine_tune(params.base, model, params.fine_tune, continual=params.continual, champion=champion, group=group)


def _searched(best_params: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    if not wanted:
        return {}
    try:
        values: dict[str, Any] = json.loads(best_params.read_text(encoding="utf-8"))["values"]
    except FileNotFoundError:
        raise UserError(
            f"{best_params}: the search's result is missing; run `dvc repro search`, "
            "or empty fine_tune.from_search in params.yaml"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{best_params}: this is not a search's result; run `dvc repro --force search`") from None
    if missing := [field for field in wanted if field not in values]:
        raise UserError(
            f"params.yaml: fine_tune.from_search: {missing[0]} was not searched; add it to search.space, "
            "or take it off this list"
        )
    return {field: values[field] for field in wanted}


def _configuration(
    base: BaseParams, params: FineTuneParams, continual: ContinualParams, champion: Path | None
) -> dict[str, Any]:
    """What the weights came about with, for the model's card."""
    start = champion and {
        "weights_sha256": read_card(champion)["weights_sha256"],
        "continual": continual.model_dump(mode="json"),
    }
    made = {"seed": base.seed, "fine_tune": params.model_dump(mode="json"), "started_from": start}
    return {**made, **teacher_note(params.teacher)}


def _flat(prefix: str, content: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= _flat(f"{prefix}.{key}", value) if isinstance(value, Mapping) else {f"{prefix}.{key}": value}
    return flat


def _metrics(epoch: Epoch) -> dict[str, float]:
    names = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    return {name: getattr(epoch, name) for name in names}


def _write_curves(epochs: list[Epoch], curves: Path) -> None:
    table = pd.DataFrame([{name: getattr(epoch, name) for name in _CURVES} for epoch in epochs])
    with replacing(curves) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    run_stage(main)
