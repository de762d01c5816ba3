"""Class probabilities of clips.

Shapes: N clips, K classes.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel
from models.inference import Loader, infer


def predict(model: VideoModel, loader: Loader) -> NDArray[np.float32]:
    """Probabilities of every clip of ``loader``, in the order of its table.

    Returns:
        ``probabilities_NK``; rows sum to 1 unless the model asks each class on its own.
    """

    def probabilities(clip_BCTHW: Tensor) -> Tensor:
        probabilities_BK: Tensor = model.probabilities(model(clip_BCTHW))
        return probabilities_BK

    probabilities_NK, _ = infer(model, probabilities, loader, title="predict")
    found: NDArray[np.float32] = probabilities_NK.cpu().numpy()
    return found
