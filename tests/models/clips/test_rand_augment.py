from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.clips import rand_augment as operations
from models.clips.rand_augment import OPERATIONS, Operation, RandAugment
from models.clips.sampling import ClipInput
from models.spec import RandAugmentParams

INPUT = ClipInput(num_frames=3, span_s=1.0, size=16, mean=(0.4, 0.5, 0.45), std=(0.2, 0.25, 0.3))
UNSCALED = (operations.identity, operations.autocontrast, operations.equalize)


def clips(num_clips: int = 4) -> Tensor:
    """Smooth still clips with values between 0.2 and 0.8."""
    coarse = torch.rand(num_clips, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    frame_NCHW = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")
    return (0.2 + 0.6 * frame_NCHW)[:, :, None].expand(-1, -1, 3, -1, -1).contiguous()


def normalised(clip_NCTHW: Tensor) -> Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1, 1) for each in (INPUT.mean, INPUT.std))
    return (clip_NCTHW - mean) / std


def strength(value: float, num_clips: int = 4) -> Tensor:
    return torch.full((num_clips,), value)


@pytest.fixture(params=OPERATIONS, ids=lambda operation: operation.__name__)
def operation(request: pytest.FixtureRequest) -> Operation:
    found: Operation = request.param
    return found


def test_a_clip_depends_on_no_other_and_all_its_frames_are_treated_alike(operation: Operation) -> None:
    changed_NCTHW = operation(clips(), strength(0.7))
    assert changed_NCTHW.shape == clips().shape
    assert changed_NCTHW.isfinite().all()
    assert torch.equal(changed_NCTHW, changed_NCTHW[:, :, :1].expand_as(changed_NCTHW))
    torch.testing.assert_close(changed_NCTHW[1:2], operation(clips()[1:2], strength(0.7, 1)))


def test_without_strength_nothing_happens(operation: Operation) -> None:
    if operation in UNSCALED:
        return
    tolerance = 1.0 / 255.0 if operation is operations.posterize else 1e-5
    torch.testing.assert_close(operation(clips(), strength(0.0)), clips(), atol=tolerance, rtol=0.0)


def test_with_strength_something_does_and_more_with_more(operation: Operation) -> None:
    if operation in UNSCALED:
        assert operation is operations.identity or not torch.equal(operation(clips(), strength(0.5)), clips())
        return
    little, much = ((operation(clips(), strength(value)) - clips()).abs().mean() for value in (0.3, 0.9))
    assert little < much


def test_a_clip_of_one_colour_is_never_a_hole(operation: Operation) -> None:
    flat_NCTHW = torch.full((2, 3, 3, 16, 16), 0.5)
    changed_NCTHW = operation(flat_NCTHW, strength(1.0, 2))
    assert changed_NCTHW.isfinite().all()
    assert changed_NCTHW.std((2, 3, 4)).max() < 1e-5


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (operations.translate_x, lambda clip: clip[..., 4:]),
        (operations.translate_y, lambda clip: clip[..., 4:, :]),
    ],
)
def test_translation_moves_by_the_share_of_the_side(move: Operation, expected: Callable[[Tensor], Tensor]) -> None:
    moved_NCTHW = move(clips(), strength(4 / 16 / 0.45))
    kept = moved_NCTHW[..., :12] if move is operations.translate_x else moved_NCTHW[..., :12, :]
    torch.testing.assert_close(kept, expected(clips()), atol=1e-5, rtol=0.0)


def test_no_operation_mirrors(operation: Operation) -> None:
    ramp_NCTHW = torch.linspace(0.2, 0.8, 16).expand(1, 3, 3, 16, 16).contiguous()
    if operation is operations.solarize:
        return
    for value in (-0.6, 0.6):
        middle_W = operation(ramp_NCTHW, strength(value, 1))[0, 0, 0, 8, 5:11]
        assert (middle_W.diff() > -1e-5).all()


def test_equalize_uses_all_levels_alike() -> None:
    dark_NCTHW = 0.2 + 0.3 * torch.rand(1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    equal = operations.equalize(dark_NCTHW, strength(0.0, 1))
    assert equal.quantile(0.5).item() == pytest.approx(0.5, abs=0.06)
    assert equal.quantile(0.25).item() == pytest.approx(0.25, abs=0.06)
    assert (equal.min().item(), equal.max().item()) == (0.0, 1.0)


def test_autocontrast_uses_the_whole_range_over_all_frames() -> None:
    clip_NCTHW = clips()
    clip_NCTHW[:, :, 1] *= 0.5
    stretched = operations.autocontrast(clip_NCTHW, strength(0.0))
    assert stretched.amin((2, 3, 4)).max() == 0.0
    assert stretched.amax((2, 3, 4)).min() == 1.0


def test_normalised_clips_stay_normalised_and_in_range() -> None:
    augment = RandAugment(INPUT, RandAugmentParams(layers=3, magnitude=9))
    changed = augment(normalised(clips(16)), *augment.draw(16, torch.Generator().manual_seed(0)))
    low, high = normalised(torch.zeros(1, 3, 1, 1, 1)), normalised(torch.ones(1, 3, 1, 1, 1))
    assert ((changed >= low - 1e-5) & (changed <= high + 1e-5)).all()
    assert not torch.allclose(changed, normalised(clips(16)))


def test_a_seed_says_all() -> None:
    augment = RandAugment(INPUT, RandAugmentParams(layers=2, magnitude=7))
    first, again, other = (
        augment(normalised(clips()), *augment.draw(4, torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
