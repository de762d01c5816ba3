"""One step of training: a batch in, weights a little better.

Shapes: B clips, K classes.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.batch_norm import normalises_together
from models.errors import UserError
from models.objectives.objective import Loss
from models.objectives.target import Target
from models.processes import Group
from models.share import Share
from models.spec import FineTuneParams

logger = logging.getLogger(__name__)

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_ALSO_OUT_OF_MEMORY = ("unable to find an engine", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
"""What the device's libraries say where it is they that find no memory to work in."""


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
    add up to the batch's. Not so where processes normalise together: they take equally many micro-batches, and one that
    has no clip for a micro-batch takes a black one that counts nothing.

    Args:
        module: What is trained.
        optimizer: Over its weights.
        loss_of: What is made small.
        params: The job.
        group: The processes among which batches are divided; default: this one alone.

    Attributes:
        num_micro: Micro-batches to a batch, so far.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_of: Loss,
        params: FineTuneParams,
        group: Group | None = None,
    ) -> None:
        self._module = module
        self._weights = list(module.parameters())
        self._device = self._weights[0].device
        self._channels_last = wants_channels_last(params, self._device)
        if self._channels_last:
            _put_channels_last(self._weights)
        self._forward = torch.compile(module) if params.compile else module
        self._optimizer = optimizer
        self._loss_of = loss_of
        self._group = group or Group()
        self._clip_norm = params.clip_norm
        self._precision = params.precision
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=params.precision == "fp16")
        self.num_micro = params.accumulate

    def __call__(self, inputs: Tensor, target: Target) -> Outcome:
        """Train on one batch, or on this process's part of it.

        Raises:
            UserError: The device has not memory enough for a single clip.
        """
        outcome = self.gradients(inputs, target)
        self._group.average_gradients(self._weights, len(inputs))
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

    def gradients(self, inputs: Tensor, target: Target) -> Outcome:
        """The first half of a step: put the batch's gradient into the weights (scaled, where the precision is fp16)."""
        while True:
            self._optimizer.zero_grad()
            try:
                return self._accumulated(inputs, target)
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                micro_batch = -(-len(inputs) // self.num_micro)
                if micro_batch == 1:
                    if not isinstance(error, torch.OutOfMemoryError):
                        raise  # a library may say so where memory is not what it lacks
                    raise UserError(
                        "params.yaml: model.flavour: the device has not memory enough to train on a single clip; "
                        "take a smaller flavour, or fine_tune.precision: bf16"
                    ) from None
                if normalises_together(self._module):
                    raise UserError(
                        "params.yaml: fine_tune.accumulate: the device has not memory enough for micro-batches of "
                        f"{micro_batch} clips, and processes that normalise together cannot halve them one by one; "
                        f"set it to {2 * self.num_micro}, or sync_batch_norm to false"
                    ) from None
            # Outside of the handler, whose traceback holds on to what the failed attempt had allocated.
            self.num_micro = -(-len(inputs) // -(-micro_batch // 2))
            logger.warning("out of memory: going on with micro-batches of %d clips", -(-micro_batch // 2))
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _accumulated(self, inputs: Tensor, target: Target) -> Outcome:
        total = torch.zeros((), device=self._device)
        logits: list[Tensor] = []
        for inputs_M, target_M, num_clips in self._micro_batches(inputs, target):
            self._group.num_clips = len(inputs) if num_clips else 0
            if self._channels_last and inputs_M.ndim == 5:
                inputs_M = inputs_M.contiguous(memory_format=torch.channels_last_3d)
            with autocast(self._precision, self._device):
                logits_MK = self._forward(inputs_M)
                loss = self._loss_of(logits_MK.float(), target_M, inputs_M) * (num_clips / max(len(inputs), 1))
            torch.autograd.backward(self._scaler.scale(loss))
            total += loss.detach()
            logits.append(logits_MK.detach()[:num_clips])
        return Outcome(total, torch.cat(logits) if logits else torch.zeros((0, 1), device=self._device))

    def _micro_batches(self, inputs: Tensor, target: Target) -> Iterator[tuple[Tensor, Target, int]]:
        """Inputs, answers, and how many of them count."""
        if not normalises_together(self._module):
            size = max(-(-len(inputs) // self.num_micro), 1)
            if len(inputs):  # there may be fewer clips than processes
                for inputs_M, target_M in zip(torch.split(inputs, size), target.split(size), strict=True):
                    yield inputs_M, target_M, len(inputs_M)
            return
        for number in range(self.num_micro):
            rows = Share(number, self.num_micro).rows(len(inputs))
            inputs_M, target_M = inputs[rows], target.rows(rows)
            if not len(inputs_M):
                inputs_M = inputs.new_zeros((1, *inputs.shape[1:]))
                target_M = Target(target.label_B.new_zeros(1))
            yield inputs_M, target_M, rows.stop - rows.start


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _ALSO_OUT_OF_MEMORY)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """What a job of this precision computes under."""
    return torch.autocast(device.type, _DTYPES[precision]) if precision in _DTYPES else nullcontext()


def wants_channels_last(params: FineTuneParams, device: torch.device) -> bool:
    """Whether a job on ``device`` keeps channels innermost."""
    if params.channels_last == "auto":
        return device.type == "cuda" and params.precision != "fp32"
    return params.channels_last


def _put_channels_last(weights: list[nn.Parameter]) -> None:
    for weight in weights:
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
