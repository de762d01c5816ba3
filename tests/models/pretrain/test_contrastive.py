import pytest
import torch

from models.build import build_model
from models.pretrain.build import build_pretext
from models.pretrain.contrastive import Byol
from models.spec import ModelParams, PretrainParams

PARAMS = PretrainParams(objective="contrastive", target_momentum=0.9)


def made(family: str = "efficientnet_lite0") -> Byol:
    network = build_model(ModelParams(family=family, flavour="debug"), 2, seed=0)
    torch.manual_seed(0)
    pretext = build_pretext(network.backbone, network.clip_input, PARAMS)
    assert isinstance(pretext, Byol)
    return pretext


@pytest.mark.parametrize("family", ["efficientnet_lite0", "i3d"])
def test_the_target_follows_and_is_not_trained(family: str) -> None:
    pretext = made(family).train()
    before = [weight.clone() for weight in pretext.target_backbone.parameters()]
    optimizer = torch.optim.SGD((weight for weight in pretext.parameters() if weight.requires_grad), lr=0.5)
    pretext(*torch.randn(2, 4, 3, 4, 32, 32)).backward()
    assert all(weight.grad is None for weight in pretext.target_backbone.parameters())
    optimizer.step()
    pretext.after_step()
    weights = zip(before, pretext.target_backbone.parameters(), pretext.backbone.parameters(), strict=True)
    for old, target, online in weights:
        torch.testing.assert_close(target, 0.9 * old + 0.1 * online)
    assert any(not torch.equal(old, new) for old, new in zip(before, pretext.target_backbone.parameters(), strict=True))


def test_the_loss_is_of_both_directions_and_between_0_and_4() -> None:
    pretext = made().eval()
    first, second = torch.randn(2, 4, 3, 4, 32, 32)
    loss = pretext(first, second).item()
    assert 0.0 <= loss <= 4.0
    assert loss == pytest.approx(pretext(second, first).item(), abs=1e-5)
    said = torch.randn(4, 256)
    pretext.predictor.register_forward_hook(lambda *_: said)
    pretext.target_projector.register_forward_hook(lambda *_: 3.0 * said)
    assert pretext(first, second).item() == pytest.approx(0.0, abs=1e-5)


def test_it_tells_videos_apart_that_it_could_not_before() -> None:
    """Views of a video share a pattern under noise; after training their features are nearer than those of others."""
    pretext = made().train()
    pattern_NCTHW = torch.randn(8, 3, 1, 1, 1, generator=torch.Generator().manual_seed(3)).expand(-1, -1, 4, 32, 32)
    generator = torch.Generator().manual_seed(4)

    def view() -> torch.Tensor:
        return pattern_NCTHW + 0.5 * torch.randn(pattern_NCTHW.shape, generator=generator)

    optimizer = torch.optim.AdamW((weight for weight in pretext.parameters() if weight.requires_grad), lr=2e-3)
    losses = []
    for _ in range(40):
        loss = pretext(view(), view())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        pretext.after_step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    with torch.inference_mode():
        said_ND = pretext.projector(pretext.backbone(view()).mean(1))
        assert said_ND.std(0).mean() > 0.01  # not the same for every video
