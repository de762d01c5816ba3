"""Ask the champion about video files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.clips.label_sets import written
from models.errors import UserError
from tasks.registry.choose import choose
from tasks.registry.classifier import Answer
from tasks.registry.client import find_version, registry, version_with_alias
from tasks.registry.names import CHAMPION
from tasks.registry.trust import verified_model
from tasks.settings import ServeSettings


@dataclass(frozen=True)
class Prediction:
    """What the champion says about one file.

    Attributes:
        path: As it was given.
        label: The most probable label; where a file may have several, all that it has, as ``run|walk``, or ``-`` for
            none; None where the file could not be read.
        probability: Of ``label``; None where a file may have several.
        probabilities: Of every label, the most probable first.
        error: Why there is no label.
        labels: Where a file may have several: those that it has, and their probabilities, the most probable first; else
            None.
    """

    path: Path
    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    error: str | None = None
    labels: dict[str, float] | None = None


def predict(files: Sequence[Path], name: str, *, version: int | None = None) -> list[Prediction]:
    """Labels of ``files`` by the champion of ``name``, or by ``version``.

    The model's files are checked against what was registered before any is read, and kept in ``settings().home``, so
    they are downloaded once. A file that cannot be read gets its reason, and the others go on.

    Raises:
        UserError: There is no such model or version, no champion, or the model is not what was registered.
    """
    client = registry()
    wanted = version if version is not None else version_with_alias(client, name, CHAMPION)
    if wanted is None:
        raise UserError(f"{name}: there is no champion; make a version champion with `videoloop promote {name}`")
    folder = verified_model(client, find_version(client, name, wanted), to_answer=True)
    classifier = choose(folder, wanted=ServeSettings().format)
    return [_prediction(path, answer) for path, answer in zip(files, classifier.classify(files), strict=True)]


def _prediction(path: Path, answer: Answer) -> Prediction:
    if answer.error is not None:
        return Prediction(path, None, None, {}, answer.error)
    ranked = dict(sorted(answer.probabilities.items(), key=lambda item: -item[1]))
    if answer.labels is not None:
        return Prediction(path, written(answer.labels), None, ranked, labels=answer.labels)
    label, probability = next(iter(ranked.items()))
    return Prediction(path, label, probability, ranked)
