"""The loop of pretraining. It knows no family and no objective.

A run that was killed and resumed ends with the same weights, to the byte, as one that was not.
"""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from models.checkpoint import Checkpoints
from models.errors import DivergedError
from models.interruption import EXIT_CODE, Interruption
from models.optimise import schedule_factor, set_learning_rate
from models.pretrain.pretext import Pretext
from models.processes import Group
from models.reproducible import random_state, reproducible, set_random_state
from models.spec import PretrainParams

logger = logging.getLogger(__name__)

_BETAS = (0.9, 0.95)


class ViewBatches(Protocol):
    """Batches of views, as :class:`models.pretrain.views.Views` gives them."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def epoch(self, number: int, *, first: int = 0) -> Iterator[tuple[Tensor, ...]]:
        """The batches of epoch ``number``, from batch ``first`` on."""


def pretrain(
    pretext: Pretext,
    views: ViewBatches,
    params: PretrainParams,
    *,
    seed: int,
    checkpoint: Path | None = None,
    checkpoint_s: float = 300.0,
    on_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train ``pretext`` and with it its backbone, with AdamW and a cosine schedule.

    Args:
        pretext: On the device on which the views are put.
        views: Of the clips to learn from.
        params: Section ``pretrain``.
        seed: Of masks and dropout.
        checkpoint: Folder of this run's checkpoints; training goes on from the newest one.
        checkpoint_s: Seconds after which one is written within an epoch; after an epoch there always is one.
        on_epoch: Called with each epoch's number, from 1, and loss, first for those that a checkpoint brings back.

    Returns:
        The mean loss of each epoch.

    Raises:
        DivergedError: The loss is not a number.
        SystemExit: The process was asked to stop (SIGTERM), within a step, and has written a checkpoint; code 143.
    """
    device = next(pretext.parameters()).device
    tell = on_epoch or (lambda _epoch, _loss: None)
    with reproducible(device, params.num_threads, seed):
        run = _Run(pretext, views, params, device, Checkpoints(checkpoint, checkpoint_s) if checkpoint else None)
        for number, loss in enumerate(run.losses, 1):
            tell(number, loss)
        run.go_on(tell)
    return run.losses


class _Run:
    """What is known of a run between its steps, and how it goes on from there."""

    def __init__(
        self,
        pretext: Pretext,
        views: ViewBatches,
        params: PretrainParams,
        device: torch.device,
        checkpoints: Checkpoints | None,
    ) -> None:
        self._pretext = pretext
        self._views = views
        self._params = params
        self._device = device
        self._checkpoints = checkpoints
        self._interruption = Interruption()
        self._optimizer = _optimizer(pretext, params)
        self.losses: list[float] = []
        self._begin()
        if checkpoints and (state := checkpoints.load(device)):
            self._restore(state)

    def go_on(self, tell: Callable[[int, float], None]) -> None:
        """All epochs that are left."""
        with self._interruption.listening():
            while (number := len(self.losses) + 1) <= self._params.epochs:
                with self._interruption.held():
                    self._steps()
                    self.losses.append(self._mean())
                    self._begin()
                    self._save()
                logger.info("epoch %d (pretrain): loss %.4f", number, self.losses[-1])
                if self._interruption.asked:
                    logger.warning("stopped after epoch %d", number)
                    raise SystemExit(EXIT_CODE)
                tell(number, self.losses[-1])

    def _begin(self) -> None:
        self._position, self._num_clips = 0, 0
        self._total = torch.zeros((), device=self._device)

    def _steps(self) -> None:
        """Those of the epoch that are left."""
        num_steps, num_warmup_steps = (
            round(epochs * len(self._views)) for epochs in (self._params.epochs, self._params.warmup_epochs)
        )
        epoch = len(self.losses)
        self._pretext.train()
        for clips_BCTHW in self._views.epoch(epoch, first=self._position):
            step = epoch * len(self._views) + self._position
            set_learning_rate(self._optimizer, schedule_factor(step, num_steps, num_warmup_steps, "cosine"))
            if len(clips_BCTHW[0]) >= self._pretext.min_clips:
                self._step(clips_BCTHW)
            self._position += 1
            self._look_up()

    def _step(self, clips_BCTHW: tuple[Tensor, ...]) -> None:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._params.precision == "bf16"):
            loss = self._pretext(*clips_BCTHW)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._pretext.after_step()
        batch = len(clips_BCTHW[0])
        self._total, self._num_clips = self._total + loss.detach() * batch, self._num_clips + batch

    def _look_up(self) -> None:
        """See, between two steps, whether a checkpoint is due or the end is asked for."""
        if self._interruption.asked or (self._checkpoints and self._checkpoints.is_due()):
            self._save()
        if self._interruption.asked:
            logger.warning("stopped in epoch %d, after step %d", len(self.losses) + 1, self._position)
            raise SystemExit(EXIT_CODE)

    def _mean(self) -> float:
        mean = float(self._total) / max(self._num_clips, 1)
        if not math.isfinite(mean):
            raise DivergedError(
                f"params.yaml: pretrain.lr: pretraining came apart in epoch {len(self.losses) + 1} (the loss is "
                f"{mean}); take a lower rate than {self._params.lr:g}, or a longer warm-up"
            )
        return mean

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        state = {
            "module": self._pretext.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "losses": self.losses,
            "position": self._position,
            "total": self._total,
            "num_clips": self._num_clips,
            "random": random_state(self._device, Group()),
        }
        self._checkpoints.save((len(self.losses), self._position), state)

    def _restore(self, state: dict[str, Any]) -> None:
        self._pretext.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.losses, self._position = state["losses"], state["position"]
        self._total, self._num_clips = state["total"], state["num_clips"]
        set_random_state(state["random"], self._device, Group())
        logger.info("going on after epoch %d, and %d steps of the next", len(self.losses), self._position)


def _optimizer(pretext: Pretext, params: PretrainParams) -> torch.optim.Optimizer:
    trained = [weight for weight in pretext.parameters() if weight.requires_grad]
    groups = [
        {
            "params": [weight for weight in trained if (weight.ndim > 1) is decays],
            "peak_lr": params.lr,
            "weight_decay": params.weight_decay if decays else 0.0,
        }
        for decays in (True, False)
    ]
    return torch.optim.AdamW(groups, lr=params.lr, betas=_BETAS, fused=True)
