import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.backbones.family import Backbone
from models.build import VideoModel
from models.clips.sampling import ClipInput
from models.explain.frames import frame_importance, stretches


class OneFrame(Backbone):
    """Sees the mean of one frame."""

    num_features, num_steps, stages = 1, 1, ()

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        return clip_BCTHW[:, 0, self.at].mean((1, 2))[:, None, None]


def model(at: int, num_frames: int) -> VideoModel:
    head = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        head[1].weight.copy_(torch.tensor([[5.0], [-5.0]]))
        head[1].bias.zero_()
    clip_input = ClipInput(num_frames, None, 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return VideoModel(clip_input, OneFrame(at), head).eval()


@pytest.mark.parametrize("at", [0, 3, 7])
def test_the_frame_that_is_looked_at_matters_alone(at: int) -> None:
    clip_CTHW = torch.zeros(3, 8, 4, 4)
    clip_CTHW[:, at] = 1.0
    loss_P = frame_importance(model(at, 8), clip_CTHW, wanted=0)
    assert loss_P.shape == (8,)
    assert loss_P[at] == pytest.approx(0.5, abs=0.01)
    assert np.delete(loss_P, at) == pytest.approx(np.zeros(7))


def test_what_speaks_against_a_class_is_negative() -> None:
    clip_CTHW = torch.zeros(3, 8, 4, 4)
    clip_CTHW[:, 2] = 1.0
    assert frame_importance(model(2, 8), clip_CTHW, wanted=1)[2] == pytest.approx(-0.5, abs=0.01)


def test_a_frame_like_its_neighbours_says_nothing_new() -> None:
    assert frame_importance(model(3, 8), torch.ones(3, 8, 4, 4), wanted=0) == pytest.approx(np.zeros(8))


def test_long_clips_are_cut_into_few_stretches() -> None:
    parts = stretches(13, 8)
    assert [len(part) for part in parts] == [2, 2, 2, 2, 2, 1, 1, 1]
    assert np.concatenate(parts).tolist() == list(range(13))
    clip_CTHW = torch.zeros(3, 13, 4, 4)
    clip_CTHW[:, 4:6] = 1.0
    assert frame_importance(model(5, 13), clip_CTHW, wanted=0).argmax() == 2


def test_a_single_frame_cannot_be_hidden() -> None:
    assert frame_importance(model(0, 1), torch.ones(3, 1, 4, 4), wanted=0).tolist() == [0.0]
