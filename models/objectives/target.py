"""What the answer to a training example should be.

Shapes: B clips, K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Target:
    """The right answers of a batch.

    Attributes:
        label_B: The class of each clip; of a mixed clip the one with the largest share.
        share_BK: What each class counts, where a clip is more than one class: shares of a mixed clip, which sum to 1,
            or ones for all labels of a clip that has several. None where ``label_B`` is all there is.
        several: Whether each clip may have several labels, or none; ``label_B`` then says nothing.
    """

    label_B: Tensor
    share_BK: Tensor | None = None
    several: bool = False

    @classmethod
    def of(cls, label_B: Tensor, wanted_BK: Tensor | None) -> "Target":
        """What the clips of a batch are: ``wanted_BK`` where they may have several labels."""
        return cls(label_B, wanted_BK, several=wanted_BK is not None)

    def split(self, size: int) -> "list[Target]":
        """Those of each ``size`` clips in a row."""
        labels = torch.split(self.label_B, size)
        shares = [None] * len(labels) if self.share_BK is None else torch.split(self.share_BK, size)
        return [Target(label_M, share_MK, self.several) for label_M, share_MK in zip(labels, shares, strict=True)]

    def rows(self, rows: slice | Tensor) -> "Target":
        """Those of some of the clips."""
        return Target(self.label_B[rows], None if self.share_BK is None else self.share_BK[rows], self.several)

    def right(self, logits_BK: Tensor) -> Tensor:
        """Which clips are answered right: by their class, or by exactly their labels where they may have several."""
        if self.several and self.share_BK is not None:
            return ((logits_BK > 0) == (self.share_BK > 0.5)).all(1)
        return logits_BK.argmax(1) == self.label_B

    def dense(self, num_classes: int) -> Tensor:
        """``share_BK`` as float32, one-hot where there is none."""
        if self.share_BK is not None:
            return self.share_BK
        return F.one_hot(self.label_B, num_classes).float()
