import torch

from models.clips.reframe import Reframe
from models.clips.sampling import ClipInput

GIVEN = ClipInput(num_frames=8, span_s=2.0, size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
WANTED = ClipInput(num_frames=4, span_s=None, size=24, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def normalised(value: float | torch.Tensor, clip_input: ClipInput) -> torch.Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1, 1) for each in (clip_input.mean, clip_input.std))
    side = clip_input.size
    frames = torch.as_tensor(value).float().reshape(-1, 1, 1)
    return ((frames - mean) / std).expand(1, 3, clip_input.num_frames, side, side)


def test_the_same_input_is_the_same_clip() -> None:
    clip_BCTHW = torch.randn(2, 3, 8, 16, 16)
    assert Reframe(GIVEN, GIVEN)(clip_BCTHW) is clip_BCTHW


def test_colours_stay_and_frames_are_spread_over_those_that_are_there() -> None:
    brightness_T = torch.linspace(0.1, 0.8, 8)
    reframed = Reframe(GIVEN, WANTED)(normalised(brightness_T, GIVEN))
    expected = normalised(brightness_T[[0, 2, 5, 7]], WANTED)
    torch.testing.assert_close(reframed, expected)


def test_more_frames_repeat_those_that_are_there_and_come_back() -> None:
    brightness_T = torch.linspace(0.1, 0.8, 4)
    reframed = Reframe(WANTED, GIVEN)(normalised(brightness_T, WANTED))
    assert reframed.shape == (1, 3, 8, 16, 16)
    torch.testing.assert_close(Reframe(GIVEN, WANTED)(reframed), normalised(brightness_T, WANTED))
