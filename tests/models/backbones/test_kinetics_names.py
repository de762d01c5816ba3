"""Published Kinetics weights fit: names and shapes are those of the networks that their publisher saved."""

import importlib

import pytest
import torch

from models.backbones.family import load_family
from models.backbones.published import Published

NETWORKS = {
    ("i3d", "8x8"): "i3d_r50",
    ("i3d", "8x112"): "i3d_r50",
    ("x3d", "xs"): "x3d_xs",
    ("x3d", "s"): "x3d_s",
    ("x3d", "m"): "x3d_m",
    ("x3d", "l"): "x3d_l",
}
"""Flavours and the builders of pytorchvideo's hub."""


@pytest.mark.parametrize(("family", "flavour"), NETWORKS)
def test_every_published_tensor_has_its_place(family: str, flavour: str) -> None:
    with torch.device("meta"):
        backbone = load_family(family).build(load_family(family).flavours[flavour])
        hub = importlib.import_module("pytorchvideo.models.hub")  # after the family: it imports without torchvision
        published = getattr(hub, NETWORKS[family, flavour])().state_dict()
    weights = load_family(family).weights["kinetics400"][flavour]
    assert isinstance(weights, Published)
    shapes = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    state = weights.convert(published, shapes)
    assert {name: tensor.shape for name, tensor in state.items()} == shapes
    assert len(published) == len(state) + 2  # the classifier


@pytest.mark.parametrize("family", sorted({family for family, _ in NETWORKS}))
def test_every_published_flavour_is_tested(family: str) -> None:
    assert {flavour for name, flavour in NETWORKS if name == family} == set(load_family(family).weights["kinetics400"])
