"""One step of training: a batch in, weights a little better.

Shapes: B clips, K classes.
"""

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import UserError
from models.objectives.objective import Loss
from models.spec import FineTuneParams

logger = logging.getLogger(__name__)

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Outcome:
    """What a step saw, on the device: reading it would wait for the step.

    Attributes:
        loss: Mean over the batch, before the step.
        logits_BK: Of the batch, in the same order.
    """

    loss: Tensor
    logits_BK: Tensor


class Step:
    """Forward, backward, update.

    A batch that does not fit into the device's memory is tried again in micro-batches of half the size; their gradients
    add up to the batch's.

    Args:
        module: What is trained.
        optimizer: Over its weights.
        loss_of: What is made small.
        params: The job.

    Attributes:
        num_micro: Micro-batches to a batch, so far.
    """

    def __init__(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, loss_of: Loss, params: FineTuneParams
    ) -> None:
        self._weights = list(module.parameters())
        self._device = self._weights[0].device
        self._channels_last = wants_channels_last(params, self._device)
        if self._channels_last:
            _put_channels_last(self._weights)
        self._forward = torch.compile(module) if params.compile else module
        self._optimizer = optimizer
        self._loss_of = loss_of
        self._clip_norm = params.clip_norm
        self._autocast_to = _DTYPES.get(params.precision)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=params.precision == "fp16")
        self.num_micro = params.accumulate

    def __call__(self, inputs: Tensor, label_B: Tensor) -> Outcome:
        """Train on one batch.

        Raises:
            UserError: The device has not memory enough for a single clip.
        """
        outcome = self.gradients(inputs, label_B)
        if self._clip_norm:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._weights, self._clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return outcome

    def state_dict(self) -> dict[str, Any]:
        """What steps to come depend on, beside weights and optimiser."""
        return {"num_micro": self.num_micro, "scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.num_micro = state["num_micro"]
        self._scaler.load_state_dict(state["scaler"])

    def gradients(self, inputs: Tensor, label_B: Tensor) -> Outcome:
        """The first half of a step: put the batch's gradient into the weights (scaled, where the precision is fp16)."""
        while True:
            self._optimizer.zero_grad()
            try:
                return self._accumulated(inputs, label_B)
            except torch.OutOfMemoryError:
                micro_batch = -(-len(label_B) // self.num_micro)
                if micro_batch == 1:
                    raise UserError(
                        "params.yaml: model.flavour: the device has not memory enough to train on a single clip; "
                        "take a smaller flavour, or fine_tune.precision: bf16"
                    ) from None
            # Outside of the handler, whose traceback holds on to what the failed attempt had allocated.
            self.num_micro = -(-len(label_B) // -(-micro_batch // 2))
            logger.warning("out of memory: going on with micro-batches of %d clips", -(-micro_batch // 2))
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _accumulated(self, inputs: Tensor, label_B: Tensor) -> Outcome:
        size = -(-len(label_B) // self.num_micro)
        total: Tensor | float = 0.0
        logits: list[Tensor] = []
        for inputs_M, label_M in zip(inputs.split(size), label_B.split(size), strict=True):
            if self._channels_last and inputs_M.ndim == 5:
                inputs_M = inputs_M.contiguous(memory_format=torch.channels_last_3d)
            with self._autocast():
                logits_MK = self._forward(inputs_M)
                loss = self._loss_of(logits_MK.float(), label_M, inputs_M) * (len(label_M) / len(label_B))
            torch.autograd.backward(self._scaler.scale(loss))
            total = total + loss.detach()
            logits.append(logits_MK.detach())
        return Outcome(torch.as_tensor(total), torch.cat(logits))

    def _autocast(self) -> Any:
        return torch.autocast(self._device.type, self._autocast_to) if self._autocast_to else nullcontext()


def wants_channels_last(params: FineTuneParams, device: torch.device) -> bool:
    """Whether a job on ``device`` keeps channels innermost."""
    if params.channels_last == "auto":
        return device.type == "cuda" and params.precision != "fp32"
    return params.channels_last


def _put_channels_last(weights: list[nn.Parameter]) -> None:
    for weight in weights:
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
