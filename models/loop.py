"""The training loop. It knows no family, no task and no method.

A job is a head phase on frozen features, a phase over what requires a gradient, or both, and its objective says what is
made small.

A run that was killed and resumed ends with the same weights, to the byte, as one that was not: what a step depends on
is either a pure function of (seed, epoch, position) or in the checkpoint.
"""

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.average import WeightAverage
from models.batch_norm import batch_norm_together
from models.build import VideoModel
from models.checkpoint import Checkpoints
from models.errors import DivergedError
from models.inference import Loader
from models.interruption import EXIT_CODE, Interruption
from models.memory import keep_freed_memory
from models.objectives.build import build_objective
from models.objectives.objective import Objective
from models.objectives.plain import plain_loss
from models.optimise import make_optimizer, schedule_factor, set_learning_rate
from models.phases import Phase, phases_of
from models.processes import Group
from models.reproducible import random_state, reproducible, set_random_state
from models.spec import FineTuneParams, Method
from models.step import Step, autocast
from models.tally import Tally

logger = logging.getLogger(__name__)

_STEPS_BETWEEN_LOOKS = 25
"""Looking whether the loss is a number waits for the device."""
_SMALLEST_SCALE = 1 / 8


class StopTraining(Exception):  # noqa: N818 - a signal, not an error
    """Raised by ``on_epoch`` to end training early; :func:`fit` lets it through."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training clips came to.

    Attributes:
        epoch: From 1, over both phases.
        phase: ``head`` trains on frozen features; the other phase is called by the job's method.
        train_loss: The objective's mean over the pass, with augmentation.
        train_accuracy: Mean over the pass, with augmentation; where clips have several labels, the share of clips whose
            labels are all right, and no other.
        val_loss: Cross entropy after the pass, without label smoothing; where clips have several labels, of each label
            on its own, summed.
        val_accuracy: After the pass.
        lr: The head's at the last step.
        seconds: Wall time, validation included.
    """

    epoch: int
    phase: Method
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
    checkpoint_s: float = 300.0,
    feature_cache: Path | None = None,
    group: Group | None = None,
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
        checkpoint_s: Seconds after which one is written within an epoch; after an epoch there always is one.
        feature_cache: File for the frozen backbone's features; see :func:`models.features.cached_features`.
        group: The processes that train together, each called with the same arguments; default: this one alone.
        on_epoch: Called after each epoch, and first of all for those that a checkpoint brings back. May raise
            :class:`StopTraining`.

    Returns:
        All epochs, those before an interruption included.

    Raises:
        DivergedError: The loss is not a number, at an eighth of the rate either.
        UserError: The model does not take clips of a size that the job asks for, or memory is too small.
        SystemExit: The process was asked to stop (SIGTERM), within a step, and has written a checkpoint; code 143.
    """
    keep_freed_memory()
    group = group or Group()
    device = next(model.parameters()).device
    # Processes drop other features of their clips than the first one does.
    own_seed = seed if group.is_first else int(np.random.default_rng([seed, group.share.index]).integers(2**63))
    together = batch_norm_together(model, group if params.sync_batch_norm else Group(), compiled=params.compile)
    with reproducible(device, params.num_threads, own_seed), together:
        checkpoints = Checkpoints(checkpoint, checkpoint_s) if checkpoint else None
        run = _Run(
            model, params, objective or build_objective(params, multi_label=model.multi_label), group, checkpoints
        )
        tell = on_epoch or _ignore
        for epoch in run.history:
            tell(epoch)
        for phase in phases_of(model, train, val, params, seed=seed, feature_cache=feature_cache):
            run.finish(phase, tell)
        run.load_best()
    return run.history


class _NotFiniteError(Exception):
    """The loss is not a number any more."""


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Somebody asked for the end."""


class _Run:
    """What is known of a job between its steps, and how it goes on from there."""

    def __init__(
        self,
        model: VideoModel,
        params: FineTuneParams,
        objective: Objective,
        group: Group,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.history: list[Epoch] = []
        self._model = model
        self._params = params
        self._objective = objective
        self._group = group
        self._checkpoints = checkpoints
        self._device = next(model.parameters()).device
        self._interruption = Interruption()
        self._best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self._good: dict[str, Any] = {}
        self._rate_scale = 1.0
        self._restored = checkpoints.load(self._device) if checkpoints else None
        if self._restored:
            now = self._restored["now"]
            self.history = [Epoch(**epoch) for epoch in now["history"]]
            self._best = now["best"]
            where = f", step {now['position']} of the next" if now["position"] else ""
            logger.info("going on after epoch %d%s", len(self.history), where)

    def finish(self, phase: Phase, on_epoch: Callable[[Epoch], None]) -> None:
        """Train what is left of ``phase``."""
        if self._is_over(phase):
            return
        self.load_best()
        self._best = _copied(phase)
        with self._interruption.listening():
            phase.start()
            training = _Training(phase, self._objective, self._params, self._group)
            self._restore(training)
            while not self._is_over(phase):
                try:
                    epoch = self._train_one(training)
                except _NotFiniteError:
                    self._go_back(training)
                    continue
                except _Stopped:
                    with self._interruption.held():  # who asks may ask twice, as a supervisor and its supervisor
                        self._save(self._snapshot(training))
                    logger.warning("stopped in epoch %d, after step %d", len(self.history) + 1, training.position)
                    raise SystemExit(EXIT_CODE) from None
                with self._interruption.held():
                    self.history.append(epoch)
                    self._good = self._snapshot(training)
                    self._save(self._good)
                if any(self._group.any(self._interruption.asked)):
                    logger.warning("stopped after epoch %d", len(self.history))
                    raise SystemExit(EXIT_CODE)
                if self._group.is_first:
                    _log(epoch)
                on_epoch(epoch)

    def load_best(self) -> None:
        """Put the best weights so far into the model."""
        self._model.load_state_dict(self._best, strict=False)

    def _is_over(self, phase: Phase) -> bool:
        past = [epoch.val_loss for epoch in self.history if epoch.phase == phase.name]
        if len(past) >= phase.num_epochs:
            return True
        if self.history and self.history[-1].phase != "head" and phase.name == "head":
            return True
        patience = self._params.early_stopping_patience
        return bool(patience and past) and len(past) - 1 - int(np.argmin(past)) >= patience

    def _train_one(self, training: "_Training") -> Epoch:
        started = time.monotonic()
        phase = training.phase
        done = sum(epoch.phase == phase.name for epoch in self.history)
        with self._interruption.held():
            phase.set_mode(done)
            for inputs, target in phase.train_examples(done, training.position, self._group.share):
                set_learning_rate(training.optimizer, self._rate(phase, done, training.position))
                outcome = training.step(inputs, target)
                training.average.update()
                training.tally.add(outcome.loss, outcome.logits_BK, target)
                training.position += 1
                self._look_up(training)
            self._group.average_buffers(phase.module)
            train_loss, train_accuracy = self._finite(training.tally)
            with training.average.in_place():
                val_loss, val_accuracy = self._finite(self._validate(phase))
                if val_loss < min((past.val_loss for past in self.history), default=math.inf):
                    self._best = _copied(phase)
        last = training.position - 1
        training.position, training.tally = 0, Tally()
        return Epoch(
            epoch=len(self.history) + 1,
            phase=phase.name,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self._params.lr * self._rate(phase, done, last),
            seconds=time.monotonic() - started,
        )

    def _rate(self, phase: Phase, epoch: int, position: int) -> float:
        """Of a batch of the phase's ``epoch``. Schedules go by clips: a batch of twice the size is two steps."""
        factor = phase.batch_factor(epoch)
        step = epoch * phase.num_steps + factor * position
        num_warmup_steps = round(self._params.warmup_epochs * phase.num_steps)
        num_steps = phase.num_epochs * phase.num_steps
        return factor * self._rate_scale * schedule_factor(step, num_steps, num_warmup_steps, self._params.schedule)

    def _look_up(self, training: "_Training") -> None:
        """See, between two steps, whether the loss is a number, a checkpoint is due, or the end is asked for."""
        is_due = self._checkpoints is not None and self._checkpoints.is_due()
        stop, save = self._group.any(self._interruption.asked, is_due)
        if stop or save or training.position % _STEPS_BETWEEN_LOOKS == 0:
            self._finite(training.tally)
        if stop:
            raise _Stopped
        if save:
            self._save(self._snapshot(training))

    def _validate(self, phase: Phase) -> Tally:
        self._model.eval()
        tally = Tally()
        for inputs, target in phase.val_examples(self._group.share):
            if len(inputs):  # there may be fewer clips than processes
                with torch.inference_mode(), autocast(self._params.precision, self._device):
                    logits_BK = phase.module(inputs).float()
                    tally.add(plain_loss(logits_BK, target), logits_BK, target)
            if any(self._group.any(self._interruption.asked)):
                raise _Stopped
        return tally

    def _finite(self, tally: Tally) -> tuple[float, float]:
        loss, accuracy = tally.means(self._group)
        if not math.isfinite(loss):
            raise _NotFiniteError
        return loss, accuracy

    def _go_back(self, training: "_Training") -> None:
        """Begin the epoch again, as it was begun, at half the rate."""
        scale = self._rate_scale / 2
        number = len(self._good["history"]) + 1
        if scale < _SMALLEST_SCALE:
            raise DivergedError(
                f"params.yaml: lr: training came apart in epoch {number} (the loss is not a number, at an eighth of "
                f"the rate too); take a lower rate than {self._params.lr:g}, or a longer warm-up"
            )
        self._load(training, self._good)
        self._rate_scale = scale
        logger.warning("the loss is not a number: beginning epoch %d again, at half the rate", number)

    def _snapshot(self, training: "_Training") -> dict[str, Any]:
        state = {
            "history": [asdict(epoch) for epoch in self.history],
            "rate_scale": self._rate_scale,
            "random": random_state(self._device, self._group),
            **training.state_dict(),
        }
        return {**copy.deepcopy(state), "best": self._best}  # which is replaced, and never changed

    def _load(self, training: "_Training", state: dict[str, Any]) -> None:
        training.load_state_dict(copy.deepcopy(state))
        self._best = state["best"]
        self._rate_scale = state["rate_scale"]
        set_random_state(state["random"], self._device, self._group)

    def _save(self, state: dict[str, Any]) -> None:
        if self._checkpoints and self._group.is_first:
            self._checkpoints.save((len(self.history), state["position"]), {"now": state, "good": self._good})

    def _restore(self, training: "_Training") -> None:
        if self._restored and self._restored["now"]["phase"] == training.phase.name:
            self._load(training, self._restored["now"])
            self._good = self._restored["good"]
        else:
            if self._restored:
                set_random_state(self._restored["now"]["random"], self._device, self._group)
            self._good = self._snapshot(training)
        self._restored = None


class _Training:
    """A phase under way."""

    def __init__(self, phase: Phase, objective: Objective, params: FineTuneParams, group: Group) -> None:
        self.phase = phase
        self.optimizer = make_optimizer(phase.module, params)
        self.step = Step(phase.module, self.optimizer, objective.on(phase.part), params, group)
        self.average = WeightAverage(phase.state(), params.ema)
        self.tally = Tally()
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "phase": self.phase.name,
            "position": self.position,
            "module": self.phase.state(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step.state_dict(),
            "average": self.average.state_dict(),
            "tally": self.tally.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.phase.module.load_state_dict(state["module"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step.load_state_dict(state["step"])
        self.average.load_state_dict(state["average"])
        self.tally = Tally.of(state["tally"])
        self.position = state["position"]


def _copied(phase: Phase) -> dict[str, Tensor]:
    return {phase.part.prefix + name: tensor.clone() for name, tensor in phase.state().items()}


def _ignore(_: Epoch) -> None:
    return


def _log(epoch: Epoch) -> None:
    logger.info(
        "epoch %d (%s): loss %.3f, validation loss %.3f, accuracy %.3f, %.1f s",
        epoch.epoch, epoch.phase, epoch.train_loss, epoch.val_loss, epoch.val_accuracy, epoch.seconds,
    )  # fmt: skip
