"""A champion as a folder, made in a moment: a tiny model, its card, and the clips that it knows."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from models.build import build_model
from models.saved import save_model
from models.spec import FineTuneParams, HeadParams, ModelParams

MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="temporal", hidden=8))
JOB = FineTuneParams(
    method="full", epochs=2, head_epochs=2, batch_size=4, lr=0.01, early_stopping_patience=0, num_threads=1
)


def write_champion(
    folder: Path,
    labels: Sequence[str] = ("left", "right"),
    clip_ids: Iterable[str] = (),
    *,
    model: ModelParams = MODEL,
    job: FineTuneParams = JOB,
    seed: int = 7,
) -> Path:
    """Write a model with the random weights of ``seed``."""
    configuration = {"seed": 0, "fine_tune": job.model_dump(mode="json"), "started_from": None}
    save_model(folder, build_model(model, len(labels), seed=seed), model, labels, configuration, clip_ids)
    return folder
