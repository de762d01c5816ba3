"""The champion, its reference, and how it wants its video: all checked against what was registered."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.errors import UserError
from models.saved import CLIPS, card_is_multi_label, read_card, read_clip_ids
from tasks.labelling.outputs import Outputs
from tasks.registry.client import find_version, model_exists, reachable, registry, version_with_alias
from tasks.registry.names import CHAMPION, MODEL_FOLDER, PREPROCESSING, REFERENCE
from tasks.registry.preprocessing import Preprocessing
from tasks.registry.trust import verified_files, verified_model
from tasks.video.clips import Recipe
from tasks.watch.outputs import read_watched
from tasks.watch.place import incoming_folder


@dataclass(frozen=True)
class Champion:
    """A registered version as the watch needs it.

    Attributes:
        name: The registered model.
        version: Its version.
        folder: With weights, card and preprocessing.
        weights: The sha256 of its weights.
        labels: Its classes, in order.
        recipe: How its video was taken in, and how incoming video has to be.
        clip_ids: The labelled clips that it was made with.
        thresholds: The probability from which it gives a clip each label, where it names any number of them; else None.
    """

    name: str
    version: int
    folder: Path
    weights: str
    labels: list[str]
    recipe: Recipe
    clip_ids: frozenset[str]
    thresholds: tuple[float, ...] | None = None

    @property
    def multi_label(self) -> bool:
        """Whether it names any number of labels a clip."""
        return self.thresholds is not None

    @property
    def incoming(self) -> Path:
        """Where video that came in for it lies."""
        return incoming_folder(self.recipe, multi_label=self.multi_label)


def champion_of(name: str) -> Champion:
    """The champion of ``name``.

    Raises:
        UserError: There is no such model, no champion, or a file is not what was registered.
    """
    client = registry()
    version = version_with_alias(client, name, CHAMPION)
    if version is None:
        raise UserError(f"{name}: there is no champion to watch; make one with `videoloop promote {name}`")
    return watched_version(name, version)


def champion_if_any(name: str) -> Champion | None:
    """The champion of ``name``; None where there is no such model, or no champion yet.

    Raises:
        UserError: MLflow does not answer, or a file is not what was registered.
    """
    client = registry()
    with reachable():
        if not model_exists(client, name):
            return None
    return None if version_with_alias(client, name, CHAMPION) is None else champion_of(name)


def watched_version(name: str, version: int) -> Champion:
    """A version of ``name``, champion or not.

    Raises:
        UserError: It does not exist, or a file is not what was registered.
    """
    client = registry()
    found = find_version(client, name, version)
    folder = verified_model(client, found)
    verified_files(client, found, (), (f"{MODEL_FOLDER}/{CLIPS}",))
    clip_ids = read_clip_ids(folder) if (folder / CLIPS).exists() else frozenset()
    card = read_card(folder)
    recipe = Preprocessing.read(folder / PREPROCESSING).recipe
    thresholds = tuple(card["thresholds"]) if card_is_multi_label(card) else None
    return Champion(name, version, folder, card["weights_sha256"], card["labels"], recipe, clip_ids, thresholds)


def reference_of(champion: Champion) -> Outputs:
    """What ``champion`` is compared with: clips of split ``val`` and ``test``, and some of ``train`` to fit on.

    Raises:
        UserError: It carries none, another model made it, or its numbers are not finite.
    """
    name, remedy = f"version {champion.version} of {champion.name}", "run a round and promote its version"
    client = registry()
    try:
        files = verified_files(
            client, find_version(client, champion.name, champion.version), (f"{MODEL_FOLDER}/{REFERENCE}",)
        )
    except UserError as error:
        raise UserError(f"{name} has no reference to compare new video with ({error}); {remedy}") from None
    reference, weights = read_watched(files / MODEL_FOLDER / REFERENCE)
    if weights != champion.weights or reference.labels != champion.labels:
        raise UserError(f"the reference of {name} was made by another model (weights {weights[:12]}); {remedy}")
    if not (np.isfinite(reference.embedding_ND).all() and np.isfinite(reference.probability_NK).all()):
        raise UserError(f"the reference of {name} has values that are not finite; {remedy}")
    return replace(reference, thresholds=champion.thresholds)
