"""What a fine-tuning job does in turn: a head on frozen features, then all that a method trains.

Shapes: B clips, N all clips, T steps, D features.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from models.build import VideoModel
from models.clip_examples import ClipExamples
from models.clips.sampling import ClipInput
from models.errors import UserError
from models.features import NUM_VIEWS, Features, cached_features
from models.inference import Loader
from models.objectives.target import Target
from models.parts import HEAD, WHOLE, Part, stage_indices, trained_state
from models.progressive import batch_factor, clip_input_at, replaced
from models.share import Share
from models.spec import FineTuneParams, Method

Examples = Iterator[tuple[Tensor, Target]]
"""What a module takes, and what it should say, in batches."""


class Phase(ABC):
    """Which module is trained, on what, for how long.

    Attributes:
        name: ``head``, or the method's.
        module: What is trained.
        part: Which part of a model that is.
        num_epochs: At most.
        num_steps: Of one epoch, at the job's batch size.
    """

    name: Method
    module: nn.Module
    part: Part
    num_epochs: int
    num_steps: int

    @abstractmethod
    def start(self) -> None:
        """Get ready; called only where something is left to train."""

    @abstractmethod
    def set_mode(self, epoch: int) -> None:
        """Put the module into the mode of a training step of the phase's ``epoch`` (from 0)."""

    def batch_factor(self, epoch: int) -> int:  # noqa: ARG002 - every epoch is alike
        """How many times the job's batch a step of the phase's ``epoch`` (from 0) takes."""
        return 1

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """What training changes of the module, under the module's names; the rest stays as it was to the bit."""

    @abstractmethod
    def train_examples(self, epoch: int, first: int, share: Share) -> Examples:
        """One process's part of the batches of the phase's ``epoch`` (from 0), beginning with batch ``first``."""

    @abstractmethod
    def val_examples(self, share: Share) -> Examples:
        """The same of the validation clips, all of them."""


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
        device = self._features.train_label_N.device
        self._wanted = [None if (each := loader.wanted_NK) is None else each.to(device) for loader in self._loaders]

    def set_mode(self, epoch: int) -> None:  # noqa: ARG002 - every epoch is alike
        """Train the head."""
        self.module.train()

    def state(self) -> dict[str, Tensor]:
        """The head."""
        return self.module.state_dict()

    def train_examples(self, epoch: int, first: int, share: Share) -> Examples:
        """Batches of one augmented view."""
        view_NTD, label_N = self._features.train_VNTD[epoch % NUM_VIEWS], self._features.train_label_N
        order_N = torch.from_numpy(np.random.default_rng([self._seed, epoch]).permutation(len(label_N)))
        for everyones_B in torch.split(order_N, self._params.batch_size)[first:]:
            index_B = everyones_B[share.rows(len(everyones_B))].to(label_N.device)
            yield view_NTD[index_B], _target(label_N, self._wanted[0], index_B)

    def val_examples(self, share: Share) -> Examples:
        """One batch."""
        rows = share.rows(len(self._features.val_label_N))
        yield self._features.val_NTD[rows], _target(self._features.val_label_N, self._wanted[1], rows)


class TunePhase(Phase):
    """Trains, on clips, what requires a gradient when the phase is made."""

    part = WHOLE

    def __init__(self, model: VideoModel, train: Loader, val: Loader, params: FineTuneParams, *, seed: int) -> None:
        self.name = params.method
        self.module = self.part.module(model)
        self.num_epochs = params.epochs
        self._examples = ClipExamples(model, params, seed=seed)
        self.num_steps = len(train)
        self._model = model
        self._train = train
        self._val = val
        self._clip_input = model.clip_input
        self._progressive = params.progressive
        self._multigrid = params.multigrid
        self._batch_size = params.batch_size
        self._freeze_batch_norm = params.freeze_batch_norm
        self._unfreeze = params.unfreeze
        self._num_stages = len(model.backbone.stages)
        indices = stage_indices(model)
        trained = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
        self._names = frozenset(trained)
        self._trained = [(weights, indices[name]) for name, weights in trained.items()]

    def start(self) -> None:
        """Open all that is to be trained; see whether the model takes clips of every size that it is to be trained on.

        Raises:
            UserError: It does not.
        """
        for weights, _ in self._trained:
            weights.requires_grad_(True)
        for number in range(len(self._progressive)):
            self._try(replaced(self._clip_input, self._progressive[number]), f"progressive.{number}")

    @torch.inference_mode()
    def _try(self, clip_input: ClipInput, field: str) -> None:
        side, num_frames = clip_input.size, clip_input.num_frames
        self._model.eval()
        try:
            self._model(torch.zeros(1, 3, num_frames, side, side, device=next(self._model.parameters()).device))
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            problem = " ".join(str(error).split())[:200]
            raise UserError(
                f"params.yaml: fine_tune.{field}: the model does not take {num_frames} frames of {side} pixels "
                f"({problem}); choose sizes nearer to its own ({self._clip_input.num_frames} of "
                f"{self._clip_input.size}), or take the stage out"
            ) from None

    def set_mode(self, epoch: int) -> None:
        """Train what is open by now, with running statistics as they are where the job says so or nothing trains."""
        first_open = self._num_stages - 1 - epoch // self._unfreeze if self._unfreeze else 0
        for weights, stage in self._trained:
            weights.requires_grad_(stage >= first_open)
        self.module.train()
        for module in self.module.modules():
            if isinstance(module, _BatchNorm):
                module.train(not self._freeze_batch_norm and _trains(module))

    def state(self) -> dict[str, Tensor]:
        """Trained weights, and statistics that move."""
        return trained_state(self.module, self._names, statistics=not self._freeze_batch_norm)

    def batch_factor(self, epoch: int) -> int:
        """More where clips are smaller and the job is multigrid."""
        return batch_factor(self._input_of(epoch), self._clip_input) if self._multigrid else 1

    def _input_of(self, epoch: int) -> ClipInput:
        return clip_input_at(epoch / self.num_epochs, self._clip_input, self._progressive)

    def train_examples(self, epoch: int, first: int, share: Share) -> Examples:
        """Augmented clips."""
        factor = self.batch_factor(epoch)
        batches = self._train.epoch(
            NUM_VIEWS + epoch,  # the loader's first epochs are the head phase's views
            first=first,
            share=share,
            clip_input=self._input_of(epoch),
            batch_size=factor * self._batch_size if factor > 1 else None,
        )
        title = f"epoch {epoch + 1}"
        num_batches = -(-self.num_steps // factor)
        shown = tqdm(batches, title, num_batches, initial=first, leave=False, disable=None)
        for position, batch in enumerate(shown, first):
            yield self._examples(batch, epoch, position)

    def val_examples(self, share: Share) -> Examples:
        """Plain clips."""
        for batch in self._val.epoch(0, share=share):
            yield batch.clip_BCTHW, Target.of(batch.label_B, batch.wanted_BK)


def _target(label_N: Tensor, wanted_NK: Tensor | None, rows: Tensor | slice) -> Target:
    return Target.of(label_N[rows], None if wanted_NK is None else wanted_NK[rows])


def _trains(module: nn.Module) -> bool:
    return any(weights.requires_grad for weights in module.parameters())


def phases_of(
    model: VideoModel, train: Loader, val: Loader, params: FineTuneParams, *, seed: int, feature_cache: Path | None
) -> list[Phase]:
    """The phases of a job."""
    num_head_epochs = params.epochs if params.method == "head" else params.head_epochs
    head = HeadPhase(model, train, val, params, num_epochs=num_head_epochs, seed=seed, feature_cache=feature_cache)
    return [head] if params.method == "head" else [head, TunePhase(model, train, val, params, seed=seed)]
