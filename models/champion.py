"""The model that a job starts from and does not forget: its weights as they are, its classes found by name.

Shapes: K classes of the new model, C classes of the champion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from models.build import VideoModel
from models.errors import UserError
from models.saved import load_model, read_clip_ids
from models.spec import ModelParams

_CLASSIFIER = ("head.classifier.weight", "head.classifier.bias")
_NEW_ROW_SCALE = 0.1
"""New classes start with rows so small that they hardly take part until they are trained."""


@dataclass(frozen=True)
class Champion:
    """A model that was there before.

    Attributes:
        model: In eval mode.
        labels: In the order of its classes.
        clip_ids: Labelled clips that it, or a model that it started from, was made with.
    """

    model: VideoModel
    labels: list[str]
    clip_ids: frozenset[str]


def load_champion(folder: Path, params: ModelParams, *, multi_label: bool = False) -> Champion:
    """Read a champion's folder.

    Args:
        folder: As :func:`models.saved.save_model` wrote it.
        params: The model that is to start from it.
        multi_label: Whether clips of the dataset may have several labels.

    Raises:
        UserError: Something is missing or damaged, its network is another one, or it answers another question.
    """
    model, card = load_model(folder)
    if model.multi_label != multi_label:
        one, several = "names one class a clip", "names any number of labels a clip"
        raise UserError(
            f"params.yaml: base.name: its champion {several if model.multi_label else one}, and the dataset "
            f"{several if multi_label else one}: they cannot be compared; give the new model a name of its own"
        )
    model.temperature = 1.0  # training goes on from the scores that were trained, and calibrates its own at the end
    theirs = ModelParams.model_validate(card["model"])
    for field, ours, their in (
        ("family", params.family, theirs.family),
        ("flavour", params.flavour, theirs.flavour),
        ("head.name", params.head.name, theirs.head.name),
        ("head.hidden", params.head.hidden, theirs.head.hidden),
    ):
        if ours != their:
            raise UserError(
                f"params.yaml: model.{field}: {ours}, but the champion that training starts from has {their}; set it "
                "to that, or continual.start to scratch"
            )
    return Champion(model, list(card["labels"]), read_clip_ids(folder))


def hand_over(champion: Champion, model: VideoModel, labels: Sequence[str]) -> None:
    """Give the champion's weights to ``model``, whose classes are ``labels``.

    A class that the champion knows gets its row, to the bit; a new one keeps a tenth of its random row, and no bias.
    """
    state = model.state_dict()
    weight_name, bias_name = _CLASSIFIER
    template = {weight_name: _NEW_ROW_SCALE * state[weight_name], bias_name: torch.zeros_like(state[bias_name])}
    model.load_state_dict(by_our_classes(champion.model.state_dict(), champion.labels, labels, template))


def by_our_classes(
    tensors: Mapping[str, Tensor],
    theirs: Sequence[str],
    ours: Sequence[str],
    template: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Bring the classifier's rows into the order of other classes; what has no classes stays as it is.

    Args:
        tensors: Something for each of a model's weights, under its name.
        theirs: The classes of the rows.
        ours: The classes wanted.
        template: The classifier's tensors with the rows of classes that are not among ``theirs``; default: zeros.
    """
    moved = dict(tensors)
    pairs = [(at, theirs.index(label)) for at, label in enumerate(ours) if label in theirs]
    ours_at, theirs_at = [at for at, _ in pairs], [at for _, at in pairs]
    for name in _CLASSIFIER:
        if name in tensors:
            rows_C = tensors[name]
            rows_K = template[name].clone() if template else rows_C.new_zeros((len(ours), *rows_C.shape[1:]))
            rows_K[ours_at] = rows_C[theirs_at].to(rows_K.device)
            moved[name] = rows_K
    return moved
