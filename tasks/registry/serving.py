"""From video files to labels, by the path that training data took: sandboxed decoding, JPEG, sampling, preprocessing.

A clip that was ingested and the file that it came from therefore give the same probabilities. Travels with the model.

Shapes: T frames, H height, W width, C channels, K classes, N windows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray

from models.build import VideoModel
from models.clips.augment import Preprocess
from models.clips.sampling import frame_indices
from models.errors import UserError
from models.saved import load_model
from tasks.registry.names import PREPROCESSING
from tasks.video.clips import DecodedClip, Job, Recipe, Refused, Segment
from tasks.video.pool import decode_all

_FORMAT = 1
_MAX_WINDOWS = 16
_MAX_SERVED_S = 600.0


@dataclass(frozen=True)
class Preprocessing:
    """How a video becomes what the model takes.

    Attributes:
        recipe: How training data was decoded.
        window_s: Usual duration of a training clip; a longer video is cut into windows of that length.
    """

    recipe: Recipe
    window_s: float

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Preprocessing":
        """Read what :meth:`write` wrote.

        Raises:
            UserError: It is something else.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return cls(Recipe(**content["recipe"]), float(content["window_s"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: this is no preprocessing of format {_FORMAT} ({error})") from None


@dataclass(frozen=True)
class Answer:
    """What the model says about a video, or why it says nothing.

    Attributes:
        probabilities: By label, in the model's order; empty when the video was refused.
        error: Why there is no answer.
    """

    probabilities: dict[str, float]
    error: str | None = None


class VideoClassifier:
    """A model with everything around it: files in, labels out."""

    def __init__(self, model: VideoModel, labels: Sequence[str], preprocessing: Preprocessing) -> None:
        self.labels = list(labels)
        self._model = model.eval()
        self._preprocess = Preprocess(model.clip_input)
        self._preprocessing = preprocessing

    @classmethod
    def load(cls, folder: Path) -> "VideoClassifier":
        """Read a model's folder, which was checked before.

        Raises:
            UserError: Something in it is missing or damaged.
        """
        model, card = load_model(folder)
        return cls(model, card["labels"], Preprocessing.read(folder / PREPROCESSING))

    def classify(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Answer for each of ``paths`` in order; a video that cannot be read does not stop the others."""
        recipe = self._preprocessing.recipe
        # What is longer than a training clip may be is cut into windows below, not refused.
        served = Recipe(**{**asdict(recipe), "max_duration_s": max(recipe.max_duration_s, _MAX_SERVED_S)})
        jobs = (Job(str(path.absolute()), (Segment(),), served) for path in paths)
        for (outcome,) in decode_all(jobs):
            yield self._answer(outcome)

    def _answer(self, clip: DecodedClip | Refused) -> Answer:
        if isinstance(clip, Refused):
            return Answer({}, str(clip))
        times_s = np.asarray(clip.times_s)
        try:
            mean_K = np.mean([self._probabilities(clip, times_s, chosen) for chosen in self._windows(clip)], axis=0)
        except ValueError:  # what came from the decoding process are no pictures: a hostile file may have taken it over
            return Answer({}, "its decoded frames are damaged")
        return Answer({label: float(value) for label, value in zip(self.labels, mean_K, strict=True)})

    def _windows(self, clip: DecodedClip) -> list[NDArray[np.intp]]:
        """Frames of each window: the whole of an ordinary clip, evenly spread windows of a long video."""
        times_s = np.asarray(clip.times_s)
        duration_s = clip.facts.end_s - clip.facts.start_s
        if duration_s <= self._preprocessing.recipe.max_duration_s:
            return [np.arange(len(times_s))]
        window_s = self._preprocessing.window_s
        num_windows = int(np.clip(duration_s // window_s, 1, _MAX_WINDOWS))
        starts_s = np.linspace(0.0, duration_s - window_s, num_windows)
        windows = [np.flatnonzero((times_s >= start_s) & (times_s <= start_s + window_s)) for start_s in starts_s]
        return [window for window in windows if len(window)]

    def _probabilities(
        self, clip: DecodedClip, times_s: NDArray[np.float64], chosen: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        indices = chosen[frame_indices(times_s[chosen] - times_s[chosen[0]], self._model.clip_input)]
        decoded = {index: simplejpeg.decode_jpeg(clip.frames[index], colorspace="RGB") for index in set(indices)}
        clip_THWC = torch.from_numpy(np.stack([decoded[index] for index in indices]))
        with torch.inference_mode():
            logits_1K = self._model(self._preprocess(clip_THWC[None]))
            probabilities_K: NDArray[np.float32] = logits_1K.float().softmax(1)[0].numpy()
        return probabilities_K
