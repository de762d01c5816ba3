"""What pretraining left to start from. Imports no torch: the search's parent needs it."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.errors import UserError
from models.files import replacing
from models.spec import ModelParams
from tasks import layout


def write_nothing(path: Path) -> None:
    """Write a file of weights without any: this start is the model's own."""
    with replacing(path) as temporary:
        save_file({}, temporary)


def started_from(model: ModelParams, path: Path = layout.PRETRAINED) -> ModelParams:
    """Section ``model`` with pretrained weights as its start, where there are any.

    Raises:
        UserError: The file cannot be read.
    """
    if not path.is_file():
        return model
    try:
        with safe_open(path, framework="numpy") as content:
            is_empty = not list(content.keys())
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: this is not a readable safetensors file ({error}); run `dvc repro pretrain`"
        ) from None
    return model if is_empty else model.model_copy(update={"weights": str(path)})
