"""What a fine-tuning job does in turn: a head on frozen features, then every weight.

Shapes: B clips, N all clips, T steps, D features.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from models.build import VideoModel
from models.features import NUM_VIEWS, Features, cached_features
from models.inference import Loader
from models.objectives.target import Target
from models.parts import HEAD, WHOLE, Part
from models.spec import FineTuneParams

PhaseName = Literal["head", "full"]
Examples = Iterator[tuple[Tensor, Target]]
"""What a module takes, and what it should say, in batches."""


class Phase(ABC):
    """Which module is trained, on what, for how long.

    Attributes:
        name: ``head`` or ``full``.
        module: What is trained.
        part: Which part of a model that is.
        num_epochs: At most.
        num_steps: Of one epoch; known after :meth:`start`.
    """

    name: PhaseName
    module: nn.Module
    part: Part
    num_epochs: int
    num_steps: int

    @abstractmethod
    def start(self) -> None:
        """Get ready; called only where something is left to train."""

    @abstractmethod
    def set_mode(self) -> None:
        """Put the module into the mode of a training step."""

    @abstractmethod
    def train_examples(self, epoch: int) -> Examples:
        """Batches for the phase's ``epoch`` (from 0)."""

    @abstractmethod
    def val_examples(self) -> Examples:
        """The same of the validation clips."""


class HeadPhase(Phase):
    """Trains the head on features of the frozen backbone, extracted once."""

    name = "head"
    part = HEAD

    def __init__(
        self,
        model: VideoModel,
        train: Loader,
        val: Loader,
        params: FineTuneParams,
        *,
        num_epochs: int,
        seed: int,
        feature_cache: Path | None,
    ) -> None:
        self.module = self.part.module(model)
        self.num_epochs = num_epochs
        self.num_steps = -(-train.num_clips // params.batch_size)
        self._model = model
        self._loaders = train, val
        self._params = params
        self._seed = seed
        self._cache = feature_cache

    def start(self) -> None:
        """Read or extract the features."""
        precision = self._params.precision
        self._features: Features = cached_features(self._model, *self._loaders, precision=precision, cache=self._cache)

    def set_mode(self) -> None:
        """Train the head."""
        self.module.train()

    def train_examples(self, epoch: int) -> Examples:
        """Batches of one augmented view."""
        view_NTD, label_N = self._features.train_VNTD[epoch % NUM_VIEWS], self._features.train_label_N
        order_N = torch.from_numpy(np.random.default_rng([self._seed, epoch]).permutation(len(label_N)))
        for start in range(0, len(order_N), self._params.batch_size):
            index_B = order_N[start : start + self._params.batch_size].to(label_N.device)
            yield view_NTD[index_B], Target(label_N[index_B])

    def val_examples(self) -> Examples:
        """One batch."""
        yield self._features.val_NTD, Target(self._features.val_label_N)


class FullPhase(Phase):
    """Trains every weight on clips."""

    name = "full"
    part = WHOLE

    def __init__(self, model: VideoModel, train: Loader, val: Loader, params: FineTuneParams) -> None:
        self.module = self.part.module(model)
        self.num_epochs = params.epochs
        self.num_steps = len(train)
        self._train = train
        self._val = val
        self._freeze_batch_norm = params.freeze_batch_norm

    def start(self) -> None:
        """Nothing to do."""

    def set_mode(self) -> None:
        """Train all, with running statistics as they are where the job says so."""
        self.module.train()
        if self._freeze_batch_norm:
            for module in self.module.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def train_examples(self, epoch: int) -> Examples:
        """Augmented clips."""
        batches = self._train.epoch(NUM_VIEWS + epoch)  # the loader's first epochs are the head phase's views
        for batch in tqdm(batches, f"epoch {epoch + 1}", len(self._train), leave=False, disable=None):
            yield batch.clip_BCTHW, Target(batch.label_B)

    def val_examples(self) -> Examples:
        """Plain clips."""
        for batch in self._val.epoch(0):
            yield batch.clip_BCTHW, Target(batch.label_B)


def phases_of(
    model: VideoModel, train: Loader, val: Loader, params: FineTuneParams, *, seed: int, feature_cache: Path | None
) -> list[Phase]:
    """The phases of a job."""
    num_head_epochs = params.epochs if params.method == "head" else params.head_epochs
    head = HeadPhase(model, train, val, params, num_epochs=num_head_epochs, seed=seed, feature_cache=feature_cache)
    return [head] if params.method == "head" else [head, FullPhase(model, train, val, params)]
