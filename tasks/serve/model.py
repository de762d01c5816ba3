"""A version, ready to answer: fetched, checked against what was registered, loaded, warmed, and put to the test."""

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UserError
from tasks.registry.choose import choose, difference
from tasks.registry.classifier import VideoClassifier
from tasks.registry.names import CHECKSUMS, EXAMPLE, EXAMPLE_ANSWER
from tasks.registry.trust import verified_model
from tasks.serve.batcher import Batcher
from tasks.settings import ServeSettings
from tasks.video.clips import Recipe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class ServedVersion:
    """A version that answers.

    Attributes:
        name: The registered model.
        version: Its number.
        identity: Of its files; a version with the same number and other files is another one.
        since: When it was ready.
        classifier: The model.
        batcher: Through which requests reach it.
        recipe: How videos are decoded for it.
    """

    name: str
    version: int
    identity: str
    since: datetime
    classifier: VideoClassifier
    batcher: Batcher
    recipe: Recipe


def load_version(
    client: "MlflowClient",
    version: "ModelVersion",
    config: ServeSettings,
    executor: Executor,
    passed: Callable[[int], None],
) -> ServedVersion:
    """Make ``version`` ready.

    Args:
        client: Of the registry.
        version: Which.
        config: Limits, the device, and the format if not the fastest.
        executor: Where forward passes run.
        passed: Hears of each forward pass.

    Raises:
        UserError: It is not what was registered, does not load, or fails its self-check.
    """
    folder = verified_model(client, version, to_answer=True)
    device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
    classifier = choose(folder, device, config.format, measure=True)
    warm(classifier, config.max_batch)
    self_check(classifier, folder)
    batcher = Batcher(
        lambda clip_NCTSS: classifier.infer(clip_NCTSS, config.max_batch),
        executor,
        max_windows=config.max_batch,
        max_wait_s=config.max_wait_ms / 1000,
        seen=passed,
    )
    recipe = classifier.recipe(config.max_duration_s)
    number, identity = int(version.version), identity_of(version)
    return ServedVersion(version.name, number, identity, datetime.now(UTC), classifier, batcher, recipe)


def identity_of(version: "ModelVersion") -> str:
    """What tells a version's files from others."""
    return f"{version.version}:{version.tags.get(CHECKSUMS, '')}"


def warm(classifier: VideoClassifier, max_batch: int) -> None:
    """Run the passes whose first time is slow; noise must give finite numbers.

    Raises:
        UserError: It does not.
    """
    for num_windows in sorted({1, max_batch}):
        found = classifier.infer(classifier.noise(num_windows), max_batch)
        if not (np.isfinite(found.probabilities_NK).all() and np.isfinite(found.embedding_ND).all()):
            raise UserError("its self-check failed: it answers with numbers that are not finite")


def self_check(classifier: VideoClassifier, folder: Path) -> None:
    """Ask for the answer to the example that was registered with the model, by the path that every video takes.

    Raises:
        UserError: There is another answer than there was at registration.
    """
    if not (folder / EXAMPLE).is_file() or not (folder / EXAMPLE_ANSWER).is_file():
        return  # registered before models carried an example
    registered = json.loads((folder / EXAMPLE_ANSWER).read_text(encoding="utf-8"))
    (answer,) = classifier.classify([folder / EXAMPLE])
    if problem := difference(classifier, answer, registered):
        raise UserError(f"its self-check failed: {problem}")
