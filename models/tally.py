"""Loss and accuracy over batches.

Shapes: B clips, K classes.
"""

from torch import Tensor

from models.objectives.target import Target
from models.processes import Group


class Tally:
    """Sums on the device: a step does not wait for a number."""

    def __init__(self) -> None:
        self._num_clips = 0
        self._loss: Tensor | float = 0.0
        self._correct: Tensor | int = 0

    def add(self, loss: Tensor, logits_BK: Tensor, target: Target) -> None:
        """Count a batch whose mean loss is ``loss``."""
        num_clips = len(target.label_B)
        self._num_clips += num_clips
        self._loss = self._loss + loss.double() * num_clips
        self._correct = self._correct + target.right(logits_BK).sum()

    def state_dict(self) -> dict[str, float]:
        """The sums."""
        return {"num_clips": self._num_clips, "loss": float(self._loss), "correct": int(self._correct)}

    @classmethod
    def of(cls, state: dict[str, float]) -> "Tally":
        """One that goes on where :meth:`state_dict` was taken."""
        tally = cls()
        tally._num_clips, tally._loss, tally._correct = int(state["num_clips"]), state["loss"], int(state["correct"])
        return tally

    def means(self, group: Group) -> tuple[float, float]:
        """Loss and accuracy over the clips of all processes."""
        num_clips, loss, correct = group.total(self._num_clips, float(self._loss), int(self._correct))
        return loss / num_clips, correct / num_clips
