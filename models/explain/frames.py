"""Which frames of a clip matter: what an answer loses without them.

Stretches of frames are hidden one after the other, as Zeiler and Fergus 2014 (arXiv:1311.2901) hide patches of a
picture. A black frame would be something that no model has seen; here the nearest frames beside the stretch stand
still in its place, so that what is lost is what happens in it.

Shapes: C channels, T frames, H height, W width, P stretches, K classes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel

_BATCH = 4


def stretches(num_frames: int, most: int) -> list[NDArray[np.int64]]:
    """Frames of each of at most ``most`` stretches, as equal as may be."""
    return [np.asarray(part) for part in np.array_split(np.arange(num_frames), min(num_frames, most))]


def frame_importance(model: VideoModel, clip_CTHW: Tensor, wanted: int, most: int = 8) -> NDArray[np.float32]:
    """How much probability a class loses where a stretch of frames stands still.

    Args:
        model: In eval mode, on any device.
        clip_CTHW: As the model takes it, on the model's device.
        wanted: The class.
        most: Stretches, at most; see :func:`stretches`.

    Returns:
        ``loss_P`` in -1..1; negative where the class is likelier without the stretch. One frame alone cannot be hidden
        and loses nothing.
    """
    num_frames = clip_CTHW.shape[1]
    seen_PT = [_hidden(part, num_frames) for part in stretches(num_frames, most)]
    clips = torch.stack([clip_CTHW, *(clip_CTHW[:, seen_T] for seen_T in seen_PT)])
    with torch.inference_mode():
        probability = torch.cat(
            [model.probabilities(model(batch).float())[:, wanted] for batch in torch.split(clips, _BATCH)]
        )
    loss_P: NDArray[np.float32] = (probability[0] - probability[1:]).cpu().numpy()
    return loss_P


def _hidden(part: NDArray[np.int64], num_frames: int) -> NDArray[np.int64]:
    """Which frame stands where, without those of ``part``."""
    shown_T = np.arange(num_frames)
    others = np.setdiff1d(shown_T, part)
    if len(others):
        shown_T[part] = others[np.abs(others[None] - part[:, None]).argmin(1)]
    return shown_T
