"""What a backbone starts from: published weights by name, a file of them, or a saved model."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.backbones.family import Backbone, Weights, find_flavour
from models.errors import UserError
from models.spec import ModelParams

NONE = "none"


def load_weights(backbone: Backbone, params: ModelParams) -> None:
    """Fill ``backbone`` with the weights that ``params`` names; with ``none`` it stays as it is.

    Raises:
        UserError: There are no such weights, they cannot be fetched or read, or they do not fit.
    """
    path = weights_file(params)
    if path is None:
        return
    published = _published(params)
    shapes = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    state = published.read(path, shapes) if published else _read(path)
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(
            f"params.yaml: model.weights: {params.weights} does not fit {params.family} {params.flavour}; "
            f"use weights of this flavour, or none ({problem})"
        ) from None


def weights_file(params: ModelParams) -> Path | None:
    """The file with the weights that ``params`` names, fetched where it is missing; None for ``none``.

    Raises:
        UserError: There is no such file, or it cannot be fetched.
    """
    if params.weights == NONE:
        return None
    published = _published(params)
    chosen = params.weights.partition(":")[2] if published else params.weights
    if published and not chosen:
        return published.file()
    if not Path(chosen).is_file():
        known = ", ".join([*find_flavour(params)[0].weights, NONE])
        raise UserError(
            f"params.yaml: model.weights: {params.family} knows no weights {params.weights!r} and there is no such "
            f"file; use one of: {known}, or the path of a safetensors file"
        )
    return Path(chosen)


def _published(params: ModelParams) -> Weights | None:
    name = params.weights.partition(":")[0]
    by_flavour = find_flavour(params)[0].weights.get(name)
    if by_flavour is None:
        return None
    if params.flavour not in by_flavour:
        raise UserError(
            f"params.yaml: model.weights: there are no {name} weights of {params.family} {params.flavour}; flavours "
            f"that have them: {', '.join(by_flavour)}; else use none"
        )
    return by_flavour[params.flavour]


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: model.weights: this is not a readable safetensors file ({error})") from None
    # A saved model holds its head too; the head of a new model is trained from nothing.
    inner = {name.removeprefix("backbone."): tensor for name, tensor in state.items() if name.startswith("backbone.")}
    return inner or state
