"""The model as MLflow serves it, from code: ``mlflow.pyfunc.load_model`` runs this file.

Takes a table with one video a row: column ``path`` (a file that this process may read) or ``video`` (its bytes).
Gives a row for each: ``label``, ``probability``, ``probabilities`` by label, and ``error`` where there is no answer.
A model that names any number of labels gives all of them in ``label``, as ``run|walk`` or ``-`` for none, and in the
column ``labels`` with their probabilities; it gives no ``probability``.
"""

import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from models.clips.label_sets import written
from tasks.registry.classifier import Answer, VideoClassifier


class ServedModel(PythonModel):
    """Labels of video files."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the weights; they are safetensors, and nothing is unpickled."""
        self._classifier = VideoClassifier.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """One row for each row of ``model_input``."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [_file(row, Path(folder) / str(at)) for at, row in enumerate(model_input.to_dict("records"))]
            answers = [_row(answer) for answer in self._classifier.classify(paths)]
        several = [] if self._classifier.thresholds is None else ["labels"]
        return pd.DataFrame(answers, columns=["label", "probability", "probabilities", "error", *several])


def _file(row: Mapping[Hashable, Any], temporary: Path) -> Path:
    video, path = row.get("video"), row.get("path")
    if isinstance(video, bytes | bytearray):
        temporary.write_bytes(video)
        return temporary
    if isinstance(path, str):
        return Path(path)
    raise ValueError("each row needs a video: its bytes in column video, or a file's path in column path")


def _row(answer: Answer) -> dict[str, Any]:
    if not answer.probabilities:
        return {"label": None, "probability": None, "probabilities": {}, "error": answer.error, "labels": {}}
    if answer.labels is not None:
        text = written(answer.labels)
        return {"label": text, "probabilities": answer.probabilities, "labels": answer.labels}
    label, probability = max(answer.probabilities.items(), key=lambda item: item[1])
    return {"label": label, "probability": probability, "probabilities": answer.probabilities, "error": None}


mlflow.models.set_model(ServedModel())
