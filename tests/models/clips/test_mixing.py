import numpy as np
import pytest
import torch
from torch import Tensor

from models.clips.mixing import Mix, cutmix, mixup
from models.objectives.target import Target
from models.spec import AugmentParams

LABEL_B = torch.tensor([0, 1, 2, 3, 1, 0])
WAYS = [AugmentParams(mixup=0.8), AugmentParams(cutmix=1.0), AugmentParams(mixup=0.8, cutmix=1.0)]


def clips() -> Tensor:
    """Clips of one value each, their number."""
    return torch.arange(6.0).view(6, 1, 1, 1, 1).expand(6, 3, 4, 20, 30).contiguous()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("params", WAYS)
def test_shares_are_those_of_the_pixels_and_sum_to_one(params: AugmentParams) -> None:
    for seed in range(20):
        mixed_BCTHW, target = Mix(params, 4)(clips(), Target(LABEL_B), rng(seed))
        assert target.share_BK is not None
        assert target.share_BK.sum(1).tolist() == pytest.approx([1.0] * 6)
        assert (target.share_BK.max(1).values == target.share_BK.gather(1, target.label_B[:, None])[:, 0]).all()
        other_B = (torch.arange(6.0) - mixed_BCTHW.mean((1, 2, 3, 4))).abs() > 1e-4
        assert ((target.share_BK.max(1).values < 1.0) <= other_B).all()


def test_a_share_of_one_changes_nothing() -> None:
    for way in (mixup, cutmix):
        mixed_BCTHW, kept = way(clips(), clips().flip(0), 1.0, rng())
        assert torch.equal(mixed_BCTHW, clips())
        assert kept == 1.0


def test_mixup_blends_by_the_share() -> None:
    mixed_BCTHW, kept = mixup(clips(), clips().flip(0), 0.75, rng())
    assert kept == 0.75
    torch.testing.assert_close(mixed_BCTHW, 0.75 * clips() + 0.25 * clips().flip(0))


def test_cutmix_puts_one_box_into_all_frames_and_counts_what_it_covers() -> None:
    for seed in range(20):
        mixed_BCTHW, kept = cutmix(clips(), clips() + 10.0, 0.6, rng(seed))
        other_BCTHW = mixed_BCTHW != clips()
        assert (other_BCTHW == other_BCTHW[:1, :1, :1]).all()
        assert other_BCTHW.float().mean().item() == pytest.approx(1.0 - kept)
        rows, columns = other_BCTHW[0, 0, 0].any(1), other_BCTHW[0, 0, 0].any(0)
        assert torch.equal(other_BCTHW[0, 0, 0], rows[:, None] & columns)


def test_a_seed_says_all() -> None:
    mix = Mix(WAYS[2], 4)
    (first, target), (again, same), (other, _) = (mix(clips(), Target(LABEL_B), rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert torch.equal(target.dense(4), same.dense(4))
    assert not torch.equal(first, other)


def test_with_both_on_batches_take_turns() -> None:
    blended = [
        bool((mixed_BCTHW != mixed_BCTHW.round()).any())
        for mixed_BCTHW, _ in (Mix(WAYS[2], 4)(clips(), Target(LABEL_B), rng(seed)) for seed in range(40))
    ]
    assert 10 < sum(blended) < 30
