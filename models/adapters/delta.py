"""What a job trained as a file of its own: small where the method is, and of use only with the weights before it."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from models.adapters.method import Attached, attach
from models.build import VideoModel
from models.digest import tensors_digest
from models.errors import UserError
from models.files import replacing
from models.parts import trained_state
from models.spec import FineTuneParams

_FORMAT = "videoloop delta 1"


def base_digest(model: VideoModel) -> str:
    """The identity of the weights that a job starts from. The head's are not among them: a job trains it as a whole."""
    return tensors_digest(model.backbone.state_dict())


def save_delta(path: Path, attached: Attached, params: FineTuneParams, base: str) -> None:
    """Write what was trained, all or nothing.

    Args:
        path: Of a safetensors file.
        attached: Before it is merged.
        params: The job.
        base: The digest of what the job started from, before anything was attached.
    """
    state = trained_state(attached.model, attached.trained, statistics=not params.freeze_batch_norm)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    about = {"format": _FORMAT, "base": base, "job": json.dumps(params.model_dump(mode="json"), sort_keys=True)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, about)


def load_delta(path: Path, model: VideoModel) -> Attached:
    """Bring a model to where the job left it.

    Args:
        path: As :func:`save_delta` wrote it.
        model: As the job started from it, with a head of the same classes.

    Returns:
        The model, its changes not folded in yet.

    Raises:
        UserError: The file is missing or damaged, or belongs to other weights.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        if about.get("format") != _FORMAT:
            raise ValueError(f"format {about.get('format')}")
        params = FineTuneParams.model_validate(json.loads(about["job"]))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path}: this is not what a job trained, as a file ({error}); write it again") from None
    if about["base"] != base_digest(model):
        raise UserError(f"{path}: it belongs to other weights; build the model from those that the job started from")
    attached = attach(model, params, seed=0)
    left_over = model.load_state_dict(tensors, strict=False).unexpected_keys
    if left_over or not attached.trained <= set(tensors):
        raise UserError(f"{path}: it does not fit this model; build the model that the job trained")
    return attached
