import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.clips.mixing import Mix
from models.objectives.each_label import EachLabel, binary_divergence
from models.objectives.plain import plain_loss
from models.objectives.target import Target
from models.parts import HEAD
from models.spec import AugmentParams

WANTED_BK = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
TARGET = Target.of(torch.full((3,), -1), WANTED_BK)
LOGITS_BK = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.1, 0.0], [0.3, 4.0, -2.0]])


def loss_of(objective: EachLabel) -> torch.Tensor:
    return objective.on(HEAD)(LOGITS_BK, TARGET, torch.zeros(3))


def test_it_is_binary_cross_entropy_and_focal_is_the_papers():
    expected = F.binary_cross_entropy_with_logits(LOGITS_BK, WANTED_BK, reduction="none")
    torch.testing.assert_close(loss_of(EachLabel(0.0)), expected.sum(1).mean())
    torch.testing.assert_close(plain_loss(LOGITS_BK, TARGET), expected.sum(1).mean())
    right_BK = torch.where(WANTED_BK > 0, LOGITS_BK, -LOGITS_BK).sigmoid()
    focal = ((1 - right_BK) ** 2 * expected).sum(1).mean()
    torch.testing.assert_close(loss_of(EachLabel(0.0, gamma=2.0)), focal)


def test_a_clip_without_labels_counts_whatever_rare_labels_count():
    weighted = EachLabel(0.0, weight_K=torch.tensor([4.0, 1.0, 1.0]))
    nothing = Target.of(torch.tensor([-1]), torch.zeros(1, 3))
    assert weighted.on(HEAD)(torch.zeros(1, 3), nothing, torch.zeros(1)).item() == pytest.approx(6 * np.log(2))


def test_a_clip_is_right_with_exactly_its_labels():
    assert TARGET.right(torch.tensor([[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])).tolist() == [
        True, False, True,
    ]  # fmt: skip
    assert [part.several for part in TARGET.split(2)] == [True, True]


def test_divergence_is_zero_at_the_teachers_answers_and_positive_elsewhere():
    torch.testing.assert_close(binary_divergence(LOGITS_BK, LOGITS_BK), torch.zeros(3, 3))
    assert (binary_divergence(LOGITS_BK + 1.0, LOGITS_BK) > 0).all()


def test_mixed_clips_want_shares_of_both_sets():
    mix = Mix(AugmentParams(mixup=1.0), 3)
    _, target = mix(torch.zeros(3, 3, 2, 4, 4), TARGET, np.random.default_rng(0))
    assert target.several
    other_BK = (target.dense(3) - WANTED_BK).abs()
    assert ((target.dense(3) >= 0) & (target.dense(3) <= 1)).all()
    assert other_BK.max() > 0
