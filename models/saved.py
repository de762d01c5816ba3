"""A model as a folder: ``weights.safetensors``, and ``model.json``, which says what they belong to.

``clips.txt`` names the labelled clips that the model was made with, one a line: the world that it knows.
"""

import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from models.errors import UserError
from models.file_digest import sha256_of
from models.spec import AdapterParams, ModelParams

if TYPE_CHECKING:
    from models.build import VideoModel

WEIGHTS = "weights.safetensors"
CARD = "model.json"
CLIPS = "clips.txt"
_FORMAT = 1


def save_model(
    folder: Path,
    model: "VideoModel",
    params: ModelParams,
    labels: Sequence[str],
    extra: Mapping[str, Any] | None = None,
    clip_ids: Iterable[str] = (),
) -> None:
    """Write a model's folder, all or nothing; the same weights give the same bytes.

    Args:
        folder: Replaced where it exists.
        model: On any device; changes of weights are folded in.
        params: What the model was built from.
        labels: In the order of the model's classes.
        extra: More for ``model.json``.
        clip_ids: For ``clips.txt``.
    """
    from safetensors.torch import save_file

    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    for left_over in folder.parent.glob(f".{folder.name}.*"):  # of a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, temporary / WEIGHTS)
        card = {
            "format": _FORMAT,
            "model": params.model_dump(mode="json"),
            "labels": list(labels),
            "weights_sha256": _sha256(temporary / WEIGHTS),
            "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
            **({} if model.temperature == 1.0 else {"temperature": model.temperature}),
            **({"multi_label": True, "thresholds": thresholds_of(model, len(labels))} if model.multi_label else {}),
            "added": [params.model_dump(mode="json") for params in model.added],
            "trained": model.trained and asdict(model.trained),
            **(extra or {}),
        }
        (temporary / CLIPS).write_text("".join(f"{clip_id}\n" for clip_id in sorted(clip_ids)), encoding="utf-8")
        (temporary / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_model(folder: Path) -> tuple["VideoModel", dict[str, Any]]:
    """Read a model's folder. Nothing in it is executed.

    Returns:
        The model in eval mode on the CPU, and the content of ``model.json``.

    Raises:
        UserError: Something is missing, damaged, or from another version.
    """
    from safetensors.torch import load_file

    from models.adapters.adapter import add_adapters
    from models.build import build_model

    card = read_card(folder)
    if _sha256(folder / WEIGHTS) != card["weights_sha256"]:
        raise UserError(f"{folder / WEIGHTS}: these are not the weights that {CARD} names; restore the folder")
    # What the weights started from may be gone, and does not matter any more.
    params = ModelParams.model_validate(card["model"]).model_copy(update={"weights": "none"})
    model = build_model(params, len(card["labels"]), seed=0)
    for added in card.get("added", ()):
        add_adapters(model, AdapterParams.model_validate(added), seed=0)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{folder / WEIGHTS}: these weights do not fit {params.family}: {problem}") from None
    model.temperature = float(card.get("temperature", 1.0))
    model.multi_label, model.thresholds = card_is_multi_label(card), tuple(card.get("thresholds", ()))
    return model.eval(), card


def read_card(folder: Path) -> dict[str, Any]:
    """The content of a model folder's ``model.json``.

    Raises:
        UserError: It is missing, or not a card of this version.
    """
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["format"] != _FORMAT:
            raise ValueError(f"format {card['format']}")
        ModelParams.model_validate(card["model"])
        for added in card.get("added", ()):
            AdapterParams.model_validate(added)
        card["labels"], card["weights_sha256"]
        if not 0.0 < float(card.get("temperature", 1.0)) < math.inf:
            raise ValueError(f"temperature {card['temperature']}")
        if card_is_multi_label(card):
            _check_thresholds(card["thresholds"], len(card["labels"]))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: there is no model here; run `dvc repro fine_tune` or `dvc checkout`") from None
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{folder / CARD}: this is not a model card of format {_FORMAT} ({problem})") from None
    return card


def card_is_multi_label(card: Mapping[str, Any]) -> bool:
    """Whether the model of this card asks each class on its own."""
    return card.get("multi_label", False) is True


def thresholds_of(model: "VideoModel", num_classes: int) -> list[float]:
    """The probability from which a clip has a label, by class."""
    return list(model.thresholds) or [0.5] * num_classes


def _check_thresholds(thresholds: Any, num_classes: int) -> None:
    if len(thresholds) != num_classes or not all(0.0 <= float(each) <= 1.0 for each in thresholds):
        raise ValueError(f"{len(thresholds)} thresholds for {num_classes} labels, or one that is not within 0 and 1")


def read_clip_ids(folder: Path) -> frozenset[str]:
    """The labelled clips that a model was made with.

    Raises:
        UserError: The list is missing.
    """
    try:
        return frozenset((folder / CLIPS).read_text(encoding="utf-8").splitlines())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder / CLIPS}: this file is missing; run `dvc checkout`") from None


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except FileNotFoundError:
        raise UserError(f"{path}: this file is missing; run `dvc repro fine_tune` or `dvc checkout`") from None
