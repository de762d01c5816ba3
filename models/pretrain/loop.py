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
from models.optimise import schedule_factor, set_learning_rate
from models.pretrain.pretext import Pretext
from models.reproducible import reproducible
from models.spec import PretrainParams

logger = logging.getLogger(__name__)

_BETAS = (0.9, 0.95)


class ViewBatches(Protocol):
    """Batches of views, as :class:`models.pretrain.views.Views` gives them."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def epoch(self, number: int) -> Iterator[tuple[Tensor, ...]]:
        """The batches of epoch ``number``."""


def pretrain(
    pretext: Pretext,
    views: ViewBatches,
    params: PretrainParams,
    *,
    seed: int,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train ``pretext`` and with it its backbone, with AdamW and a cosine schedule.

    Args:
        pretext: On the device on which the views are put.
        views: Of the clips to learn from.
        params: Section ``pretrain``.
        seed: Of masks and dropout.
        checkpoint: Folder of this run's checkpoints; training goes on from the newest one.
        on_epoch: Called with each epoch's number, from 1, and loss, first for those that a checkpoint brings back.

    Returns:
        The mean loss of each epoch.

    Raises:
        DivergedError: The loss is not a number.
    """
    device = next(pretext.parameters()).device
    with reproducible(device, params.num_threads, seed):
        optimizer = _optimizer(pretext, params)
        checkpoints = Checkpoints(checkpoint, every_s=0.0) if checkpoint else None
        losses = _restore(pretext, optimizer, checkpoints, device)
        for number, loss in enumerate(losses, 1):
            _tell(on_epoch, number, loss)
        for epoch in range(len(losses), params.epochs):
            losses.append(_one_epoch(pretext, views, params, optimizer, epoch, device))
            if checkpoints:
                checkpoints.save((epoch + 1, 0), _state(pretext, optimizer, losses, device))
            logger.info("epoch %d (pretrain): loss %.4f", epoch + 1, losses[-1])
            _tell(on_epoch, epoch + 1, losses[-1])
    return losses


def _one_epoch(
    pretext: Pretext,
    views: ViewBatches,
    params: PretrainParams,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    device: torch.device,
) -> float:
    num_steps, num_warmup_steps = params.epochs * len(views), round(params.warmup_epochs * len(views))
    pretext.train()
    total, num_clips = torch.zeros((), device=device), 0
    for step, clips_BCTHW in enumerate(views.epoch(epoch), epoch * len(views)):
        batch = len(clips_BCTHW[0])
        if batch < pretext.min_clips:
            continue
        set_learning_rate(optimizer, schedule_factor(step, num_steps, num_warmup_steps, "cosine"))
        with torch.autocast(device.type, torch.bfloat16, enabled=params.precision == "bf16"):
            loss = pretext(*clips_BCTHW)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        pretext.after_step()
        total, num_clips = total + loss.detach() * batch, num_clips + batch
    mean = float(total) / max(num_clips, 1)
    if not math.isfinite(mean):
        raise DivergedError(
            f"params.yaml: pretrain.lr: pretraining came apart in epoch {epoch + 1} (the loss is {mean}); take a lower "
            f"rate than {params.lr:g}, or a longer warm-up"
        )
    return mean


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


def _state(
    pretext: Pretext, optimizer: torch.optim.Optimizer, losses: list[float], device: torch.device
) -> dict[str, Any]:
    random = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(device)
    return {
        "module": pretext.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": losses,
        "random": random,
    }


def _restore(
    pretext: Pretext, optimizer: torch.optim.Optimizer, checkpoints: Checkpoints | None, device: torch.device
) -> list[float]:
    state = checkpoints.load(device) if checkpoints else None
    if state is None:
        return []
    pretext.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"]["cpu"].cpu())
    if "cuda" in state["random"]:
        torch.cuda.set_rng_state(state["random"]["cuda"].cpu(), device)
    losses: list[float] = state["losses"]
    logger.info("going on after epoch %d", len(losses))
    return losses


def _tell(on_epoch: Callable[[int, float], None] | None, number: int, loss: float) -> None:
    if on_epoch:
        on_epoch(number, loss)
