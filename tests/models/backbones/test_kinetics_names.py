"""Published Kinetics weights fit: names and shapes are those of the networks that their publisher saved."""

import importlib

import pytest
import torch
from torch import nn

from models.backbones.family import load_family
from models.backbones.published import Published

NETWORKS = {
    ("c2d", "8x8"): "c2d_r50",
    ("c2d", "8x112"): "c2d_r50",
    ("csn", "32x2"): "csn_r101",
    ("csn", "16x112"): "csn_r101",
    ("i3d", "8x8"): "i3d_r50",
    ("i3d", "8x112"): "i3d_r50",
    ("r2plus1d", "16x4"): "r2plus1d_r50",
    ("r2plus1d", "8x112"): "r2plus1d_r50",
    ("slow", "8x8"): "slow_r50",
    ("slow", "4x16"): "slow_r50",
    ("slow", "8x112"): "slow_r50",
    ("slowfast", "r50-4x16"): "slowfast_r50_4x16",
    ("slowfast", "r50-8x8"): "slowfast_r50",
    ("slowfast", "r101-8x8"): "slowfast_r101",
    ("slowfast", "r101-16x8"): "slowfast_16x8_r101_50_50",
    ("slowfast", "16x112"): "slowfast_r50",
    ("x3d", "xs"): "x3d_xs",
    ("x3d", "s"): "x3d_s",
    ("x3d", "m"): "x3d_m",
    ("x3d", "l"): "x3d_l",
}
"""Flavours and the builders of pytorchvideo's hub."""


def published_network(name: str) -> nn.Module:
    if name == "slowfast_r50_4x16":  # the hub has its weights and no builder for it
        models = importlib.import_module("pytorchvideo.models.slowfast")
        return models.create_slowfast(slowfast_fusion_conv_kernel_size=(5, 1, 1))
    return getattr(importlib.import_module("pytorchvideo.models.hub"), name)()


@pytest.mark.parametrize(("family", "flavour"), NETWORKS)
def test_every_published_tensor_has_its_place(family: str, flavour: str) -> None:
    with torch.device("meta"):
        backbone = load_family(family).build(load_family(family).flavours[flavour])
        published = published_network(NETWORKS[family, flavour]).state_dict()  # imported after the family's builders
    weights = load_family(family).weights["kinetics400"][flavour]
    assert isinstance(weights, Published)
    shapes = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    state = weights.convert(published, shapes)
    assert {name: tensor.shape for name, tensor in state.items()} == shapes
    assert len(published) == len(state) + 2  # the classifier


@pytest.mark.parametrize("family", sorted({family for family, _ in NETWORKS}))
def test_every_published_flavour_is_tested(family: str) -> None:
    assert {flavour for name, flavour in NETWORKS if name == family} == set(load_family(family).weights["kinetics400"])
