"""The training loop. It knows no family, no task and no method.

A job is a head phase on frozen features, a full phase, or both, and its objective says what is made small.

A run that was killed and resumed ends with the same weights, to the byte, as one that was not: what a step depends on
is either a pure function of (seed, epoch, position) or in the checkpoint.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import deterministic

from models.build import VideoModel
from models.checkpoint import load_checkpoint, save_checkpoint
from models.errors import DivergedError
from models.inference import Loader
from models.memory import keep_freed_memory
from models.objectives.build import build_objective
from models.objectives.objective import Loss, Objective
from models.optimise import make_optimizer, schedule_factor, set_learning_rate
from models.phases import Phase, PhaseName, phases_of
from models.spec import FineTuneParams

logger = logging.getLogger(__name__)


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Raised by ``on_epoch`` to end training early; :func:`fit` lets it through."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training clips came to.

    Attributes:
        epoch: From 1, over both phases.
        phase: ``head`` trains on frozen features, ``full`` trains every weight.
        train_loss: The objective's mean over the pass, with augmentation.
        train_accuracy: Mean over the pass, with augmentation.
        val_loss: Cross entropy after the pass, without label smoothing.
        val_accuracy: After the pass.
        lr: The head's at the last step.
        seconds: Wall time, validation included.
    """

    epoch: int
    phase: PhaseName
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    seconds: float


def fit(
    model: VideoModel,
    train: Loader,
    val: Loader,
    params: FineTuneParams,
    *,
    seed: int,
    objective: Objective | None = None,
    checkpoint: Path | None = None,
    feature_cache: Path | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Fine-tune ``model``; it ends with the weights of the epoch with the lowest validation loss.

    Args:
        model: On the device on which the loaders put batches.
        train: Augmented and shuffled.
        val: Plain.
        params: The job.
        seed: Of dropout and of the order of cached features.
        objective: What training makes small; default: the job's loss, every class counting the same.
        checkpoint: Folder of this job's checkpoints; training goes on from the newest one.
        feature_cache: File for the frozen backbone's features; see :func:`models.features.cached_features`.
        on_epoch: Called after each epoch, and first of all for those that a checkpoint brings back. May raise
            :class:`StopTraining`.

    Returns:
        All epochs, those before an interruption included.

    Raises:
        DivergedError: The loss is not a number.
    """
    keep_freed_memory()
    with _reproducible(model, params.num_threads, seed):
        run = _Run(model, params, objective or build_objective(params), checkpoint)
        tell = on_epoch or _ignore
        for epoch in run.history:
            tell(epoch)
        for phase in phases_of(model, train, val, params, seed=seed, feature_cache=feature_cache):
            run.finish(phase, tell)
        run.load_best()
    return run.history


@contextmanager
def _reproducible(model: nn.Module, num_threads: int, seed: int) -> Iterator[None]:
    device = next(model.parameters()).device
    switch: Any = deterministic  # a module with a property, which type checkers do not see
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), switch.fill_uninitialized_memory
    torch.set_num_threads(num_threads)
    # CUDA lacks a deterministic backward of 3D pooling: there it warns instead.
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    switch.fill_uninitialized_memory = False  # it finds reads of what was never written, at 0.6 of the speed
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        switch.fill_uninitialized_memory = before[2]


class _Run:
    """A job between start and end: what was done, the best weights, and how to go on."""

    def __init__(
        self, model: VideoModel, params: FineTuneParams, objective: Objective, checkpoint: Path | None
    ) -> None:
        self._model = model
        self._params = params
        self._objective = objective
        self._folder = checkpoint
        self._device = next(model.parameters()).device
        self._restored = load_checkpoint(checkpoint, self._device) if checkpoint else None
        self.history: list[Epoch] = []
        self._best: dict[str, Tensor] = {}
        """State of the trained module after the best epoch, under the model's names."""
        if self._restored:
            self.history = [Epoch(**epoch) for epoch in self._restored["history"]]
            self._best = self._restored["best"]
            logger.info("going on after epoch %d", len(self.history))

    def finish(self, phase: Phase, on_epoch: Callable[[Epoch], None]) -> None:
        """Train what is left of ``phase``."""
        if self._is_over(phase):
            return
        self.load_best()
        self._best = _copied(phase)
        phase.start()
        loss_of = self._objective.on(phase.part)
        optimizer = make_optimizer(phase.module, self._params)
        self._restore(phase, optimizer)
        while not self._is_over(phase):
            epoch = self._train_one(phase, optimizer, loss_of)
            if epoch.val_loss < min((past.val_loss for past in self.history), default=math.inf):
                self._best = _copied(phase)
            self.history.append(epoch)
            self._save(phase, optimizer)
            _log(epoch)
            on_epoch(epoch)

    def load_best(self) -> None:
        """Put the best weights so far into the model."""
        self._model.load_state_dict(self._best, strict=False)

    def _is_over(self, phase: Phase) -> bool:
        past = [epoch.val_loss for epoch in self.history if epoch.phase == phase.name]
        if len(past) >= phase.num_epochs:
            return True
        if self.history and self.history[-1].phase == "full" and phase.name == "head":
            return True
        patience = self._params.early_stopping_patience
        return bool(patience and past) and len(past) - 1 - int(np.argmin(past)) >= patience

    def _train_one(self, phase: Phase, optimizer: torch.optim.Optimizer, loss_of: Loss) -> Epoch:
        started = time.monotonic()
        done = sum(epoch.phase == phase.name for epoch in self.history)
        num_steps = phase.num_epochs * phase.num_steps
        num_warmup_steps = round(self._params.warmup_epochs * phase.num_steps)
        phase.set_mode()
        train = _Mean()
        for step, (inputs, target) in enumerate(phase.train_examples(done), done * phase.num_steps):
            factor = schedule_factor(step, num_steps, num_warmup_steps, self._params.schedule)
            set_learning_rate(optimizer, factor)
            with self._autocast():
                logits_BK = phase.module(inputs)
                loss = loss_of(logits_BK.float(), target, inputs)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            train.add(loss.detach(), logits_BK.detach(), target.label_B)
        val = self._validate(phase)
        return Epoch(
            epoch=len(self.history) + 1,
            phase=phase.name,
            train_loss=self._checked(train.loss),
            train_accuracy=train.accuracy,
            val_loss=self._checked(val.loss),
            val_accuracy=val.accuracy,
            lr=self._params.lr * factor,
            seconds=time.monotonic() - started,
        )

    def _validate(self, phase: Phase) -> "_Mean":
        self._model.eval()
        mean = _Mean()
        for inputs, target in phase.val_examples():
            with torch.inference_mode(), self._autocast():
                logits_BK = phase.module(inputs).float()
                mean.add(F.cross_entropy(logits_BK, target.label_B), logits_BK, target.label_B)
        return mean

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._params.precision == "bf16")

    def _checked(self, loss: float) -> float:
        if not np.isfinite(loss):
            raise DivergedError(
                f"params.yaml: lr: training came apart in epoch {len(self.history) + 1} (the loss is {loss}); "
                f"take a lower rate than {self._params.lr:g}, or a longer warm-up"
            )
        return loss

    def _save(self, phase: Phase, optimizer: torch.optim.Optimizer) -> None:
        if self._folder is None:
            return
        state = {
            "history": [asdict(epoch) for epoch in self.history],
            "phase": phase.name,
            "module": phase.module.state_dict(),
            "best": self._best,
            "optimizer": optimizer.state_dict(),
            "random": _random_state(self._device),
        }
        save_checkpoint(self._folder, len(self.history), state)

    def _restore(self, phase: Phase, optimizer: torch.optim.Optimizer) -> None:
        if not self._restored:
            return
        if self._restored["phase"] == phase.name:
            phase.module.load_state_dict(self._restored["module"])
            optimizer.load_state_dict(self._restored["optimizer"])
        _set_random_state(self._restored["random"], self._device)
        self._restored = None


class _Mean:
    """Loss and accuracy over batches, summed on the device: a step does not wait for a number."""

    def __init__(self) -> None:
        self._num_clips = 0
        self._loss: Tensor | float = 0.0
        self._correct: Tensor | int = 0

    def add(self, loss: Tensor, logits_BK: Tensor, label_B: Tensor) -> None:
        self._num_clips += len(label_B)
        self._loss = self._loss + loss.double() * len(label_B)
        self._correct = self._correct + (logits_BK.argmax(1) == label_B).sum()

    @property
    def loss(self) -> float:
        return float(self._loss) / self._num_clips

    @property
    def accuracy(self) -> float:
        return float(self._correct) / self._num_clips


def _copied(phase: Phase) -> dict[str, Tensor]:
    return {phase.part.prefix + name: tensor.clone() for name, tensor in phase.module.state_dict().items()}


def _random_state(device: torch.device) -> dict[str, Any]:
    on_device = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **on_device}


def _set_random_state(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def _ignore(_: Epoch) -> None:
    return


def _log(epoch: Epoch) -> None:
    logger.info(
        "epoch %d (%s): loss %.3f, validation loss %.3f, accuracy %.3f, %.1f s",
        epoch.epoch, epoch.phase, epoch.train_loss, epoch.val_loss, epoch.val_accuracy, epoch.seconds,
    )  # fmt: skip
