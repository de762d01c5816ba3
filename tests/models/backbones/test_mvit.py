import pytest
import torch

from models.backbones.builders import create_multiscale_vision_transformers
from models.backbones.family import load_family
from tests.support.cost import cost

FAMILY = load_family("mvit")
# pytorchvideo/models/hub/vision_transformers.py
PUBLISHED = {
    "temporal_size": 16,
    "spatial_size": 224,
    "embed_dim_mul": [[1, 2.0], [3, 2.0], [14, 2.0]],
    "atten_head_mul": [[1, 2.0], [3, 2.0], [14, 2.0]],
    "pool_q_stride_size": [[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]],
    "pool_kv_stride_adaptive": [1, 8, 8],
    "pool_kvq_kernel": [3, 3, 3],
}


@pytest.mark.parametrize(("flavour", "parameters_M", "multiply_adds_G"), [("16x4", 36.6, 70.5), ("32x3", 36.6, 170.0)])
def test_it_costs_what_the_paper_says(flavour: str, parameters_M: float, multiply_adds_G: float) -> None:
    found_M, found_G = cost("mvit", flavour)
    classifier_M = (768 + 1) * 400 / 1e6
    assert found_M + classifier_M == pytest.approx(parameters_M, rel=0.02)
    assert found_G == pytest.approx(multiply_adds_G, rel=0.02)


def test_the_class_token_is_what_the_published_classifier_reads() -> None:
    backbone = FAMILY.build(FAMILY.flavours["debug"]).eval()
    published = create_multiscale_vision_transformers(
        **PUBLISHED
        | {
            "temporal_size": 4,
            "spatial_size": 32,
            "depth": 3,
            "patch_embed_dim": 8,
            "embed_dim_mul": [[1, 2.0], [2, 2.0]],
            "atten_head_mul": [[1, 2.0], [2, 2.0]],
            "pool_q_stride_size": [[1, 1, 2, 2], [2, 1, 2, 2]],
            "head_num_classes": 7,
        }
    ).eval()
    missing, unexpected = published.load_state_dict(backbone.state_dict(), strict=False)
    assert (missing, unexpected) == (["head.proj.weight", "head.proj.bias"], [])
    clip_BCTHW = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features_BTD = backbone(clip_BCTHW)
        class_BTD = features_BTD[:, :, : backbone.num_features // 2]
        assert torch.equal(class_BTD[:, 0], class_BTD[:, 1])
        torch.testing.assert_close(published.head.proj(class_BTD[:, 0]), published(clip_BCTHW))


def test_published_weights_fit_a_smaller_flavour() -> None:
    small = FAMILY.build(FAMILY.flavours["8x112"])
    state = small.state_dict()
    name = "cls_positional_encoding.pos_embed"
    state[f"{name}_spatial"] = torch.randn(1, 56 * 56, 96)
    state[f"{name}_temporal"] = torch.randn(1, 8, 96)
    small.load_state_dict(state)
    assert small.state_dict()[f"{name}_spatial"].shape == (1, 28 * 28, 96)
    assert small.state_dict()[f"{name}_temporal"].shape == (1, 4, 96)
