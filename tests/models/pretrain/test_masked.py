import pytest
import torch
from torch import Tensor

from models.build import build_model
from models.errors import UserError
from models.pretrain.build import build_pretext
from models.pretrain.masked import MaskedAutoencoder, _normalised
from models.spec import ModelParams, PretrainParams

PARAMS = PretrainParams(objective="masked", decoder_blocks=1, mask_ratio=0.75)


def made(params: PretrainParams = PARAMS) -> MaskedAutoencoder:
    network = build_model(ModelParams(family="vit", flavour="debug"), 2, seed=0)
    pretext = build_pretext(network.backbone, network.clip_input, params)
    assert isinstance(pretext, MaskedAutoencoder)
    return pretext


def clips(num_clips: int = 3) -> Tensor:
    return torch.randn(num_clips, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_encoder_sees_the_share_that_is_left_the_same_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    pretext, seen = made(), []
    encode = pretext.backbone.encode
    monkeypatch.setattr(
        pretext.backbone, "encode", lambda patches_BTSD: (seen.append(patches_BTSD), encode(patches_BTSD))[1]
    )
    still_BCTHW = clips()[:, :, :1].expand(-1, -1, 4, -1, -1)
    pretext(still_BCTHW)
    (patches_BTSD,) = seen
    assert patches_BTSD.shape == (3, 4, 4, 32)  # a quarter of 16 patches, of 4 frames
    assert torch.equal(patches_BTSD, patches_BTSD[:, :1].expand_as(patches_BTSD))
    assert not torch.equal(patches_BTSD[0], patches_BTSD[1])


@pytest.mark.parametrize("ratio", [0.01, 0.99])
def test_whatever_the_ratio_something_is_seen_and_something_masked(ratio: float) -> None:
    assert torch.isfinite(made(PARAMS.model_copy(update={"mask_ratio": ratio}))(clips()))


def test_targets_are_the_pixels_of_a_patch_normalised_by_channel() -> None:
    clip_BCTHW = 5.0 + 3.0 * clips(2)
    wanted_BTSX = _normalised(clip_BCTHW, 2, 8)
    assert wanted_BTSX.shape == (2, 2, 16, 2 * 8 * 8 * 3)
    pixels = wanted_BTSX.view(2, 2, 16, -1, 3)
    torch.testing.assert_close(pixels.mean(3), torch.zeros(2, 2, 16, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(pixels.var(3), torch.ones(2, 2, 16, 3), rtol=0, atol=1e-4)
    patch_CTHW = clip_BCTHW[1, :, 2:4, 8:16, 24:32]  # the second step, second row, fourth column
    flat_CP = patch_CTHW.flatten(1)
    expected_CP = (flat_CP - flat_CP.mean(1, keepdim=True)) / flat_CP.std(1, keepdim=True)
    torch.testing.assert_close(pixels[1, 1, 7].T, expected_CP, rtol=1e-4, atol=1e-4)


def test_only_masked_pixels_count_and_what_is_masked_is_not_seen() -> None:
    pretext = made().eval()
    pretext.paint.weight.data.zero_()
    torch.manual_seed(0)
    assert pretext(clips()).item() == pytest.approx(63 / 64, abs=1e-3)  # nothing painted: what is wanted, squared
    torch.manual_seed(0)
    masked_S = torch.rand(1, 16).argsort(1)[0, 4:]
    clip_BCTHW, changed_BCTHW = clips(1), clips(1).clone()
    for patch in masked_S.tolist():
        row, column = divmod(patch, 4)
        changed_BCTHW[..., 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 7.0
    painted = []
    pretext.paint.register_forward_hook(lambda _, __, out: painted.append(out))
    pretext.paint.reset_parameters()
    for clip in (clip_BCTHW, changed_BCTHW):
        torch.manual_seed(0)
        pretext(clip)
    assert torch.equal(painted[0], painted[1])


def test_it_learns_to_paint_from_what_it_sees() -> None:
    """Half of the clips have stripes that lie, half that stand: who sees nothing of a clip is wrong by a half."""
    pretext = made()
    wave_S = torch.sin(torch.arange(32) * (2 * torch.pi / 8))
    stripes_BSS = torch.stack([wave_S.expand(32, 32), wave_S[:, None].expand(32, 32)]).repeat(2, 1, 1)
    clip_BCTHW = stripes_BSS[:, None, None].expand(4, 3, 4, 32, 32)
    optimizer = torch.optim.AdamW(pretext.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        loss = pretext(clip_BCTHW)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9
    assert losses[-1] < 0.25


def test_a_family_without_patches_is_told_what_to_take() -> None:
    network = build_model(ModelParams(family="x3d", flavour="debug"), 2, seed=0)
    with pytest.raises(UserError, match=r"pretrain.objective: masked needs .*vit, videomae.*contrastive"):
        build_pretext(network.backbone, network.clip_input, PARAMS)
