"""A moving average of weights (Polyak and Juditsky 1992), which often generalises better than where training ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """The exponential moving average of a state; with a decay of 0 the state itself.

    The decay begins small, at ``(1 + n) / (10 + n)`` after n steps, so that the average does not drag along what the
    weights were at first.

    Args:
        state: The tensors that training changes, by name.
        decay: What the average keeps of itself at a step.
    """

    def __init__(self, state: dict[str, Tensor], decay: float) -> None:
        self._decay = decay
        self._num_steps = 0
        self._live = state if decay else {}
        self._mean = {name: tensor.clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take one step's weights in."""
        if not self._decay:
            return
        self._num_steps += 1
        weight = 1.0 - min(self._decay, (1 + self._num_steps) / (10 + self._num_steps))
        for name, live in self._live.items():
            if live.is_floating_point():
                self._mean[name].lerp_(live, weight)
            else:
                self._mean[name].copy_(live)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the state's place for a while."""
        kept = {name: live.clone() for name, live in self._live.items()}
        _copy(self._mean, self._live)
        try:
            yield
        finally:
            _copy(kept, self._live)

    def state_dict(self) -> dict[str, Tensor | int]:
        """The average, as a checkpoint keeps it."""
        return {"num_steps": self._num_steps, **{f"mean.{name}": tensor for name, tensor in self._mean.items()}}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self._num_steps = int(state["num_steps"])
        for name, tensor in self._mean.items():
            tensor.copy_(torch.as_tensor(state[f"mean.{name}"]))


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
