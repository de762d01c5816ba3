"""The frames that one model takes, as another takes them.

Shapes: B clips, T frames of the one, F frames of the other, S side of the one, R side of the other.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.clips.sampling import ClipInput


class Reframe:
    """Turns one model's normalised clips into another's: number of frames, size and normalisation.

    Frames are chosen evenly among those that are there, so the other model sees the same stretch and the same square,
    as they were augmented. No gradient goes through.

    Args:
        given: How the clips are normalised; they may be smaller and have fewer frames.
        wanted: What they are to be.
    """

    def __init__(self, given: ClipInput, wanted: ClipInput) -> None:
        self._given, self._wanted = given, wanted

    @torch.no_grad()
    def __call__(self, clip_BCTSS: Tensor) -> Tensor:
        """``clip_BCFRR`` of a ``clip_BCTSS``; the same one where both models take the same."""
        given, wanted = self._given, self._wanted
        num_frames, side = clip_BCTSS.shape[2], clip_BCTSS.shape[3]
        clip_BCFSS = clip_BCTSS
        if num_frames != wanted.num_frames:
            frame_F = torch.linspace(0, num_frames - 1, wanted.num_frames).round().long()
            clip_BCFSS = clip_BCTSS.index_select(2, frame_F.to(clip_BCTSS.device))
        clip_BCFRR = _resized(clip_BCFSS, wanted.size) if side != wanted.size else clip_BCFSS
        if (given.mean, given.std) == (wanted.mean, wanted.std):
            return clip_BCFRR
        given_mean, given_std, mean, std = (
            clip_BCTSS.new_tensor(each).view(3, 1, 1, 1) for each in (given.mean, given.std, wanted.mean, wanted.std)
        )
        return (clip_BCFRR * given_std + given_mean - mean) / std


def _resized(clip_BCFSS: Tensor, side: int) -> Tensor:
    num_clips, channels, num_frames = clip_BCFSS.shape[:3]
    frames = clip_BCFSS.transpose(1, 2).flatten(0, 1)
    resized = F.interpolate(frames, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return resized.view(num_clips, num_frames, channels, side, side).transpose(1, 2).contiguous()
