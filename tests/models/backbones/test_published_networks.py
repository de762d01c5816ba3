"""With published weights a backbone's features, averaged over time, are what the published classifier is given."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from models.backbones.builders import create_csn, create_r2plus1d, create_resnet, create_slowfast
from models.backbones.family import load_family
from models.backbones.published import Published

POOL = {"head_pool": nn.AdaptiveAvgPool3d, "model_num_class": 7, "head_activation": None}
KERNELS = ((3, 1, 1), [(3, 1, 1), (1, 1, 1)], [(3, 1, 1), (1, 1, 1)], [(1, 1, 1), (3, 1, 1)])
SLOWFAST = {"slowfast_channel_reduction_ratio": (2,), "stem_dim_outs": (4, 2)}
NETWORKS: dict[str, tuple[Callable[..., nn.Module], Mapping[str, Any]]] = {
    "csn": (create_csn, {"model_depth": 50, "stem_dim_out": 2, "stem_pool": nn.MaxPool3d}),
    "i3d": (
        create_resnet,
        {
            "stem_dim_out": 2,
            "stem_conv_kernel_size": (5, 7, 7),
            "stage1_pool": nn.MaxPool3d,
            "stage_conv_a_kernel_size": KERNELS,
        },
    ),
    "r2plus1d": (create_r2plus1d, {"stem_dim_out": 2}),
    "slow": (create_resnet, {"stem_dim_out": 2, "stem_conv_kernel_size": (1, 7, 7)}),
    "slowfast": (create_slowfast, {"model_depth": 18, **SLOWFAST}),
}
"""The publisher's networks, as small as our debug flavours."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_published_classifier_says_the_same(name: str) -> None:
    torch.manual_seed(0)
    builder, arguments = NETWORKS[name]
    network = builder(**arguments, **POOL).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):  # their last ones start at zero, which would hide half of the network
            nn.init.uniform_(module.weight, 0.5, 1.5)
    family = load_family(name)
    backbone = family.build(family.flavours["debug"]).eval()
    weights = next(iter(family.weights["kinetics400"].values()))
    assert isinstance(weights, Published)
    backbone.load_state_dict(weights.convert(network.state_dict(), {}))
    clip_input = family.flavours["debug"].clip_input
    clip_BCTHW = torch.randn(2, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    given = [clip_BCTHW[:, :, [0, 7]], clip_BCTHW.clone()] if name == "slowfast" else clip_BCTHW
    with torch.inference_mode():
        logits_BK = network.blocks[-1].proj(backbone(clip_BCTHW).mean(1))
        torch.testing.assert_close(logits_BK, network(given), rtol=1e-4, atol=1e-4)


def test_the_slow_pathway_sees_the_first_and_the_last_frame() -> None:
    backbone = load_family("slowfast").build(load_family("slowfast").flavours["16x112"])
    assert backbone.slow_frames.tolist() == [0, 5, 10, 15]
    assert "slow_frames" not in backbone.state_dict()


def test_slowfast_leaves_the_clip_as_it_was() -> None:
    backbone = load_family("slowfast").build(load_family("slowfast").flavours["debug"]).eval()
    clip_BCTHW = torch.randn(1, 3, 8, 32, 32)
    before = clip_BCTHW.clone()
    with torch.inference_mode():
        assert torch.equal(backbone(clip_BCTHW), backbone(clip_BCTHW))
    assert torch.equal(clip_BCTHW, before)
