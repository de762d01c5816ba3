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
    """

    label_B: Tensor
    share_BK: Tensor | None = None

    def rows(self, rows: slice) -> "Target":
        """Those of some clips."""
        return Target(self.label_B[rows], None if self.share_BK is None else self.share_BK[rows])

    def split(self, size: int) -> "list[Target]":
        """Those of each ``size`` clips in a row."""
        labels = torch.split(self.label_B, size)
        shares = [None] * len(labels) if self.share_BK is None else torch.split(self.share_BK, size)
        return [Target(label_M, share_MK) for label_M, share_MK in zip(labels, shares, strict=True)]

    def dense(self, num_classes: int) -> Tensor:
        """``share_BK`` as float32, one-hot where there is none."""
        if self.share_BK is not None:
            return self.share_BK
        return F.one_hot(self.label_B, num_classes).float()
