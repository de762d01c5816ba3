import pytest
import torch
from torch import Tensor

from models.clips.augment import Augment, Preprocess
from models.clips.sampling import ClipInput
from models.spec import AugmentParams

INPUT = ClipInput(num_frames=3, span_s=None, size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
OFF = AugmentParams(crop_scale=1.0, flip=0.0, colour=0.0, time_jitter=0.0)
MEAN_C = torch.tensor(INPUT.mean)
STD_C = torch.tensor(INPUT.std)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(*colours: tuple[int, int, int], height: int = 24, width: int = 32) -> Tensor:
    """One clip of one colour for each, as ``clip_BTHWC``."""
    clip_BTHWC = torch.empty((len(colours), 3, height, width, 3), dtype=torch.uint8)
    clip_BTHWC[:] = torch.tensor(colours, dtype=torch.uint8)[:, None, None, None]
    return clip_BTHWC


def ramp(num_clips: int, height: int = 24, width: int = 32) -> Tensor:
    """Brighter from left to right."""
    row_W = torch.linspace(0, 255, width).round().to(torch.uint8)
    return row_W[None, None, None, :, None].expand(num_clips, 3, height, width, 3).contiguous()


def shown(clip_BCTHW: Tensor) -> Tensor:
    """Back to colours 0..255 as ``clip_BTHWC``."""
    return (clip_BCTHW.permute(0, 2, 3, 4, 1) * STD_C + MEAN_C) * 255


class TestPreprocess:
    def test_the_centre_square_normalised(self) -> None:
        clip_BTHWC = flat((10, 20, 30), height=16, width=48)
        clip_BTHWC[:, :, :, :16] = 255  # left of the centre
        clip_BTHWC[:, :, :, 32:] = 255
        clip_BCTHW = Preprocess(INPUT)(clip_BTHWC)
        assert clip_BCTHW.shape == (1, 3, 3, 16, 16)
        assert clip_BCTHW.dtype == torch.float32
        assert clip_BCTHW.is_contiguous()
        expected_C = (torch.tensor([10.0, 20.0, 30.0]) / 255 - MEAN_C) / STD_C
        torch.testing.assert_close(clip_BCTHW, expected_C[None, :, None, None, None].expand_as(clip_BCTHW))

    def test_shrinking_averages_and_does_not_skip(self) -> None:
        stripes = flat((0, 0, 0), height=64, width=64)
        stripes[:, :, :, ::2] = 255
        assert (shown(Preprocess(INPUT)(stripes)) - 127.5).abs().max() < 12

    def test_a_clip_does_not_depend_on_its_batch(self) -> None:
        clips = torch.randint(0, 256, (4, 3, 24, 32, 3), dtype=torch.uint8)
        alone = torch.cat([Preprocess(INPUT)(clip[None]) for clip in clips])
        assert torch.equal(Preprocess(INPUT)(clips), alone)


class TestAugment:
    def test_all_off_shows_the_whole_frame(self) -> None:
        clips = torch.randint(0, 256, (2, 3, 16, 16, 3), dtype=torch.uint8)
        augmented = Augment(INPUT, OFF, ["a"])(clips, torch.zeros(2, dtype=torch.long), seeded())
        torch.testing.assert_close(augmented, Preprocess(INPUT)(clips), atol=1e-5, rtol=1e-5)

    def test_every_frame_of_a_clip_is_changed_alike(self) -> None:
        clips = torch.randint(0, 256, (8, 1, 24, 32, 3), dtype=torch.uint8).expand(-1, 3, -1, -1, -1)
        augmented = Augment(INPUT, AugmentParams(), ["a"])(clips, torch.zeros(8, dtype=torch.long), seeded())
        assert torch.equal(augmented[:, :, 0], augmented[:, :, 1])
        assert torch.equal(augmented[:, :, 0], augmented[:, :, 2])

    def test_clips_of_a_batch_are_changed_differently(self) -> None:
        clips = torch.randint(0, 256, (1, 3, 24, 32, 3), dtype=torch.uint8).expand(6, -1, -1, -1, -1)
        augmented = Augment(INPUT, AugmentParams(), ["a"])(clips, torch.zeros(6, dtype=torch.long), seeded())
        assert len({clip.numpy().tobytes() for clip in augmented}) == 6

    def test_the_seed_decides(self) -> None:
        clips = torch.randint(0, 256, (4, 3, 24, 32, 3), dtype=torch.uint8)
        augment, label_B = Augment(INPUT, AugmentParams(), ["a"]), torch.zeros(4, dtype=torch.long)
        first, again, other = (augment(clips, label_B, seeded(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_flips_mirror_and_leave_labels_alone_that_a_mirror_would_change(self) -> None:
        augment = Augment(INPUT, OFF.model_copy(update={"flip": 1.0, "no_flip_labels": ("left",)}), ["left", "walk"])
        rising = shown(augment(ramp(3), torch.tensor([0, 1, -1]), seeded()))[:, 0, 0, :, 0].diff().gt(0).all(1)
        assert rising.tolist() == [True, False, True]

    def test_flips_come_as_often_as_asked(self) -> None:
        augment = Augment(INPUT, OFF.model_copy(update={"flip": 0.25}), ["a"])
        clips = ramp(400)
        rising = shown(augment(clips, torch.zeros(400, dtype=torch.long), seeded()))[:, 0, 0, :, 0].diff().gt(0).all(1)
        assert 0.18 < 1 - rising.float().mean().item() < 0.32

    def test_flips_change_nothing_else(self) -> None:
        clips, label_B = torch.randint(0, 256, (6, 3, 24, 32, 3), dtype=torch.uint8), torch.zeros(6, dtype=torch.long)
        plain, mirrored = (
            Augment(INPUT, AugmentParams(flip=flip), ["a"])(clips, label_B, seeded()) for flip in (0.0, 1.0)
        )
        torch.testing.assert_close(plain, mirrored.flip(-1), atol=1e-5, rtol=1e-5)

    def test_crops_cover_the_asked_share_and_wander(self) -> None:
        num_clips = 200
        columns = torch.arange(128, dtype=torch.uint8)[:, None].expand(128, 3)
        clips = columns[None, None, None].expand(num_clips, 1, 96, 128, 3)
        augment = Augment(INPUT, OFF.model_copy(update={"crop_scale": 0.5}), ["a"])
        seen = shown(augment(clips, torch.zeros(num_clips, dtype=torch.long), seeded()))[:, 0, 8, :, 0]
        widths = (seen[:, -1] - seen[:, 0]) * 16 / 15
        # The least area at the least aspect, and the whole frame.
        assert widths.min() > 0.9 * (0.5 * 96 * 128 * 3 / 4) ** 0.5
        assert widths.max() > 120
        centres = (seen[:, -1] + seen[:, 0]) / 2
        assert centres.min() < 48
        assert centres.max() > 80

    def test_colours_change_within_bounds(self) -> None:
        augment = Augment(INPUT, OFF.model_copy(update={"colour": 0.3}), ["a"])
        grey = shown(augment(flat(*[(100, 100, 100)] * 100), torch.zeros(100, dtype=torch.long), seeded()))
        # Flat grey knows brightness alone.
        assert 68 < grey.min().item() < 76
        assert 124 < grey.max().item() < 132
        bright = shown(augment(flat(*[(250, 5, 5)] * 50), torch.zeros(50, dtype=torch.long), seeded()))
        assert bright.min().item() > -0.1
        assert bright.max().item() < 255.1

    @pytest.mark.parametrize(("factor", "expected"), [(0.0, (109, 109, 109)), (1.0, (200, 80, 40))])
    def test_saturation_goes_towards_luma(self, factor: float, expected: tuple[int, int, int]) -> None:
        out_CTSS = torch.empty((3, 1, 16, 16))
        resized_CTSS = torch.tensor([200.0, 80.0, 40.0])[:, None, None, None].expand(3, 1, 16, 16)
        Augment(INPUT, OFF, ["a"])._recolour(resized_CTSS.contiguous(), (1.0, 1.0, factor), out_CTSS)
        assert shown(out_CTSS[None])[0, 0, 0, 0].tolist() == pytest.approx(expected, abs=2.5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_matter() -> None:
    clips, label_B = torch.randint(0, 256, (4, 3, 48, 64, 3), dtype=torch.uint8), torch.zeros(4, dtype=torch.long)
    augment = Augment(INPUT, AugmentParams(), ["a"])
    there = augment(clips.cuda(), label_B.cuda(), seeded()).cpu()
    # Bytes on the CPU, floats on the device: half a level of rounding, stretched by colour.
    torch.testing.assert_close(augment(clips, label_B, seeded()), there, atol=0.03, rtol=0.0)


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16)])
def test_a_view_says_where_the_square_lies(height: int, width: int) -> None:
    clip_BTHWC = flat((0, 0, 0), height=height, width=width)
    values = torch.arange(3).repeat_interleave(16).to(torch.uint8)
    clip_BTHWC += (values.view(1, 1, 1, -1, 1) if width > height else values.view(1, 1, -1, 1, 1)) * 100
    found = [shown(Preprocess(INPUT, across)(clip_BTHWC)).mean().item() for across in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([0.0, 100.0, 200.0], abs=0.1)
