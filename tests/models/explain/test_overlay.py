import numpy as np
import torch

from models.clips.sampling import ClipInput
from models.explain.overlay import overlay

CLIP_INPUT = ClipInput(2, None, 4, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))


def test_where_a_map_is_nothing_the_frame_stays_and_where_it_is_one_it_glows() -> None:
    grey = torch.full((3, 2, 4, 4), 0.5)
    mean, std = (torch.tensor(each)[:, None, None, None] for each in (CLIP_INPUT.mean, CLIP_INPUT.std))
    map_THW = torch.zeros(2, 4, 4)
    map_THW[1, 0, 3] = 1.0
    frames_THWC = overlay((grey - mean) / std, map_THW, CLIP_INPUT)
    assert frames_THWC.dtype == np.uint8
    red, green, blue = frames_THWC[1, 0, 3].astype(int)
    assert red > 200 > 100 > green > blue
    frames_THWC[1, 0, 3] = 128
    assert np.abs(frames_THWC.astype(int) - 127).max() <= 1
