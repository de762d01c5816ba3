"""From video files to labels, by the path that training data took: sandboxed decoding, JPEG, sampling, preprocessing.

A clip that was ingested and the file that it came from therefore give the same probabilities. Travels with the model.

Shapes: T frames, H height, W width, C channels, S side of the model's input, D features, K classes, N windows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel, clip_input_of, probabilities_of
from models.clips.augment import Preprocess
from models.clips.sampling import ClipInput, frame_indices
from models.exports.formats import read_program
from models.exports.program import Answering, Program
from models.saved import card_is_multi_label, load_model, read_card, thresholds_of
from models.spec import AnyFormat, ModelParams
from tasks.registry.names import PREPROCESSING
from tasks.registry.preprocessing import Preprocessing
from tasks.video.clips import DecodedClip, Job, Reason, Recipe, Refused, Segment
from tasks.video.pool import decode_all

_MAX_WINDOWS = 16
_MAX_SERVED_S = 600.0


@dataclass(frozen=True)
class Answer:
    """What the model says about a video, or why it says nothing.

    Attributes:
        probabilities: By label, in the model's order; empty when the video was refused.
        error: Why there is no answer.
        labels: Where a video may have several labels: those that it has, and their probabilities, the most probable
            first; else None.
    """

    probabilities: dict[str, float]
    error: str | None = None
    labels: dict[str, float] | None = None


@dataclass(frozen=True)
class Inference:
    """What the model makes of windows.

    Attributes:
        probabilities_NK: Rows sum to 1 unless the model asks each label on its own.
        embedding_ND: The backbone's features, mean over time.
    """

    probabilities_NK: NDArray[np.float32]
    embedding_ND: NDArray[np.float32]


class VideoClassifier:
    """A model with everything around it: files in, labels out.

    Attributes:
        labels: In the model's order.
        format: Which of its programs answers; ``torch`` is the model itself.
        thresholds: The probability from which a video has a label, in the same order, where it may have several; else
            None.
    """

    def __init__(
        self,
        program: Program,
        clip_input: ClipInput,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        *,
        device: str = "cpu",
        format: AnyFormat = "torch",  # noqa: A002
        thresholds: Sequence[float] | None = None,
    ) -> None:
        self.labels = list(labels)
        self.format = format
        self.thresholds = thresholds
        self._device = torch.device(device)
        self._program = program
        self._clip_input = clip_input
        self._preprocess = Preprocess(clip_input)
        self._preprocessing = preprocessing

    @classmethod
    def of(
        cls, model: VideoModel, labels: Sequence[str], preprocessing: Preprocessing, device: str = "cpu"
    ) -> "VideoClassifier":
        """By ``model`` itself, which goes to ``device``."""
        program = Answering(model).eval().to(device)
        thresholds = thresholds_of(model, len(labels)) if model.multi_label else None
        return cls(program, model.clip_input, labels, preprocessing, device=device, thresholds=thresholds)

    @classmethod
    def load(
        cls,
        folder: Path,
        device: str = "cpu",
        format: AnyFormat = "torch",  # noqa: A002
    ) -> "VideoClassifier":
        """Read a model's folder, which was checked before; its programs answer on the CPU alone.

        Raises:
            UserError: Something in it is missing or damaged.
        """
        preprocessing = Preprocessing.read(folder / PREPROCESSING)
        if format == "torch":
            model, card = load_model(folder)
            return cls.of(model, card["labels"], preprocessing, device)
        card = read_card(folder)
        clip_input = clip_input_of(ModelParams.model_validate(card["model"]))
        return cls(
            read_program(format, folder),
            clip_input,
            card["labels"],
            preprocessing,
            format=format,
            thresholds=card["thresholds"] if card_is_multi_label(card) else None,
        )

    def classify(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Answer for each of ``paths`` in order; a video that cannot be read does not stop the others."""
        # What is longer than a training clip may be is cut into windows below, not refused.
        recipe = self.recipe(max(self._preprocessing.recipe.max_duration_s, _MAX_SERVED_S))
        jobs = (Job(str(path.absolute()), (Segment(),), recipe) for path in paths)
        for (outcome,) in decode_all(jobs):
            yield self.answer(outcome)

    def recipe(self, max_duration_s: float) -> Recipe:
        """How a video is decoded for this model, where it may last ``max_duration_s``."""
        return replace(self._preprocessing.recipe, max_duration_s=max_duration_s)

    def answer(self, clip: DecodedClip | Refused) -> Answer:
        """The mean over the windows of a decoded video."""
        if isinstance(clip, Refused):
            return Answer({}, str(clip))
        try:
            found = self.infer(self.windows(clip))
        except Refused as refused:
            return Answer({}, str(refused))
        by_label = self.by_label(found.probabilities_NK.mean(0))
        return Answer(by_label, labels=self.given(by_label))

    def by_label(self, probabilities_K: NDArray[np.float32]) -> dict[str, float]:
        """Probabilities by label, in the model's order."""
        return {label: float(value) for label, value in zip(self.labels, probabilities_K, strict=True)}

    def given(self, by_label: Mapping[str, float]) -> dict[str, float] | None:
        """The labels that reach their thresholds, the most probable first; None where a video has one class."""
        if self.thresholds is None:
            return None
        reached = [label for label, least in zip(self.labels, self.thresholds, strict=True) if by_label[label] >= least]
        return {label: by_label[label] for label in sorted(reached, key=lambda label: -by_label[label])}

    def windows(self, clip: DecodedClip) -> Tensor:
        """What the model takes of a decoded video: ``clip_NCTSS``.

        Raises:
            Refused: What came from the decoding process are no pictures: a hostile file may have taken it over.
        """
        times_s = np.asarray(clip.times_s)
        try:
            windows = [self._pictures(clip, times_s, chosen) for chosen in self._chosen(clip, times_s)]
            return torch.cat([self._preprocess(clip_THWC[None]) for clip_THWC in windows])
        except (ValueError, IndexError):
            raise Refused("its decoded frames are damaged", Reason.DAMAGED) from None

    def noise(self, num_windows: int) -> Tensor:
        """Windows of noise, always the same, for trials without a video."""
        clip_input, generator = self._clip_input, torch.Generator().manual_seed(0)
        shape = (num_windows, clip_input.num_frames, clip_input.size, clip_input.size, 3)
        return self._preprocess(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8))

    def infer(self, clip_NCTSS: Tensor, batch_size: int = 1) -> Inference:
        """Run the model over windows, which may be of several videos, ``batch_size`` at a time."""
        probabilities, embeddings = [], []
        with torch.inference_mode():
            for clip_BCTSS in torch.split(clip_NCTSS, batch_size):
                logits_BK, embedding_BD = self._program(clip_BCTSS.to(self._device))
                probabilities.append(probabilities_of(logits_BK, multi_label=self.thresholds is not None).cpu())
                embeddings.append(embedding_BD.cpu())
        return Inference(torch.cat(probabilities).numpy(), torch.cat(embeddings).numpy())

    def _chosen(self, clip: DecodedClip, times_s: NDArray[np.float64]) -> list[NDArray[np.intp]]:
        """Frames of each window: the whole of an ordinary clip, evenly spread windows of a long video."""
        duration_s = clip.facts.end_s - clip.facts.start_s
        if duration_s <= self._preprocessing.recipe.max_duration_s:
            return [np.arange(len(times_s))]
        window_s = self._preprocessing.window_s
        num_windows = int(np.clip(duration_s // window_s, 1, _MAX_WINDOWS))
        starts_s = np.linspace(0.0, duration_s - window_s, num_windows)
        windows = [np.flatnonzero((times_s >= start_s) & (times_s <= start_s + window_s)) for start_s in starts_s]
        return [window for window in windows if len(window)]

    def _pictures(self, clip: DecodedClip, times_s: NDArray[np.float64], chosen: NDArray[np.intp]) -> Tensor:
        indices = chosen[frame_indices(times_s[chosen] - times_s[chosen[0]], self._clip_input)]
        decoded = {index: simplejpeg.decode_jpeg(clip.frames[index], colorspace="RGB") for index in set(indices)}
        return torch.from_numpy(np.stack([decoded[index] for index in indices]))
