import pytest
import torch
from torch import Tensor, nn

from models.backbones.family import load_family
from tests.support.cost import cost

FAMILY = load_family("vit")


# Dosovitskiy et al. 2021 and Touvron et al. 2021, with a classifier of 1000 classes.
@pytest.mark.parametrize(
    ("flavour", "parameters_M", "multiply_adds_G"),
    [("tiny-8x224", 5.7, 1.26), ("small-8x224", 22.05, 4.61), ("base-8x224", 86.57, 17.56)],
)
def test_it_costs_what_the_papers_say(flavour: str, parameters_M: float, multiply_adds_G: float) -> None:
    found_M, found_G = cost("vit", flavour)
    classifier_M = (FAMILY.flavours[flavour].width + 1) * 1000 / 1e6
    assert found_M + classifier_M == pytest.approx(parameters_M, rel=0.02)
    assert found_G / 8 == pytest.approx(multiply_adds_G, rel=0.02)


def test_its_weights_have_the_names_and_shapes_of_timm() -> None:
    flavour = FAMILY.flavours["tiny-8x224"]
    found = {name: tuple(weight.shape) for name, weight in FAMILY.build(flavour).state_dict().items()}
    block = {
        "norm1.weight": (192,), "norm1.bias": (192,), "attn.qkv.weight": (576, 192), "attn.qkv.bias": (576,),
        "attn.proj.weight": (192, 192), "attn.proj.bias": (192,), "norm2.weight": (192,), "norm2.bias": (192,),
        "mlp.fc1.weight": (768, 192), "mlp.fc1.bias": (768,), "mlp.fc2.weight": (192, 768), "mlp.fc2.bias": (192,),
    }  # fmt: skip
    assert found == {
        "cls_token": (1, 1, 192),
        "pos_embed": (1, 197, 192),
        "patch_embed.proj.weight": (192, 3, 16, 16),
        "patch_embed.proj.bias": (192,),
        "norm.weight": (192,),
        "norm.bias": (192,),
        **{f"blocks.{index}.{name}": shape for index in range(12) for name, shape in block.items()},
    }


def reference(state: dict[str, Tensor], frame_NCHW: Tensor, num_blocks: int, num_heads: int) -> Tensor:
    """The same network from torch's own layers."""
    patch = state["patch_embed.proj.weight"].shape[-1]
    maps = nn.functional.conv2d(
        frame_NCHW, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=patch
    )
    tokens = torch.cat([state["cls_token"].expand(len(frame_NCHW), -1, -1), maps.flatten(2).mT], 1)
    tokens = tokens + state["pos_embed"]
    width = tokens.shape[2]
    names = {
        "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.",
        "linear1.": "mlp.fc1.", "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2.",
    }  # fmt: skip
    for index in range(num_blocks):
        layer = nn.TransformerEncoderLayer(
            width, num_heads, 4 * width, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        own = {
            mine + kind: state[f"blocks.{index}.{theirs}{kind}"]
            for mine, theirs in names.items()
            for kind in ("weight", "bias")
        }
        layer.load_state_dict(own)
        tokens = layer(tokens)
    return nn.functional.layer_norm(tokens[:, 0], (width,), state["norm.weight"], state["norm.bias"], 1e-6)


def test_it_computes_what_torchs_own_layers_do() -> None:
    flavour = FAMILY.flavours["debug"]
    backbone = FAMILY.build(flavour)
    with torch.no_grad():
        for weight in backbone.parameters():
            weight.copy_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    clip_BCTHW = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features_BTD = backbone(clip_BCTHW)
        for index in range(2):
            frame_TCHW = clip_BCTHW[index].transpose(0, 1)
            expected_TD = reference(backbone.state_dict(), frame_TCHW, flavour.num_blocks, flavour.num_heads)
            torch.testing.assert_close(features_BTD[index], expected_TD, rtol=1e-4, atol=1e-5)


def test_weights_for_224_pixels_fit_112() -> None:
    large, small = (FAMILY.build(FAMILY.flavours[name]) for name in ("tiny-8x224", "tiny-8x112"))
    small.load_state_dict(large.state_dict())
    assert small.state_dict()["pos_embed"].shape == (1, 1 + 49, 192)
    assert torch.equal(small.state_dict()["pos_embed"][:, 0], large.state_dict()["pos_embed"][:, 0])
