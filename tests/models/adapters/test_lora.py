import copy

import pytest
import torch
from torch import Tensor, nn

from models.adapters.lora import add_lora, has_lora, merge_lora
from models.backbones.family import Backbone
from models.errors import UserError
from models.spec import LoraParams


class Layers(Backbone):
    """One layer of each kind that can be changed, and one that cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Conv1d(8, 8, 3, padding=1)
        self.plane = nn.Conv2d(8, 8, 3, groups=2, padding=1)
        self.space = nn.Conv3d(8, 16, 3, padding=1)
        self.depthwise = nn.Conv3d(16, 16, 3, groups=16, padding=1)
        self.pointwise = nn.Conv3d(16, 2, 1)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.linear = nn.Linear(16, 12, bias=False)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        num_clips, _, num_frames, height, width = clip_BCTHW.shape
        maps = self.line(clip_BCTHW.flatten(2)).view_as(clip_BCTHW)
        maps = self.plane(maps.transpose(1, 2).flatten(0, 1)).unflatten(0, (num_clips, num_frames)).transpose(1, 2)
        maps = self.depthwise(self.space(maps))
        assert self.pointwise(maps).shape == (num_clips, 2, num_frames, height, width)
        tokens = maps.flatten(2).transpose(1, 2)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        result: Tensor = self.linear(mixed)
        return result


def noise() -> Tensor:
    return torch.randn(2, 8, 2, 3, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def backbone() -> Layers:
    torch.manual_seed(0)
    return Layers().eval()


def changed(backbone: Layers, **params: object) -> Layers:
    add_lora(backbone, LoraParams.model_validate({"rank": 2, **params}), seed=0)
    for name, weights in backbone.named_parameters():
        if name.endswith("lora_up"):
            nn.init.normal_(weights, generator=torch.Generator().manual_seed(4))
    return backbone


def test_every_kind_of_layer_is_changed_but_those_that_are_smaller_than_their_change(backbone: Layers) -> None:
    add_lora(backbone, LoraParams(rank=2), seed=0)
    places = {name.removesuffix(".lora_down") for name, _ in backbone.named_parameters() if name.endswith("lora_down")}
    assert places == {"line", "plane", "space", "depthwise", "attention", "attention.out_proj", "linear"}


def test_a_change_is_a_product_of_the_scaled_factors(backbone: Layers) -> None:
    frozen = backbone.space._parameters["weight"].clone()
    changed(backbone, alpha=6.0)
    up_OR, down_RI = backbone.space.get_parameter("lora_up"), backbone.space.get_parameter("lora_down")
    difference = (backbone.space.weight - frozen).flatten(1)
    torch.testing.assert_close(difference, 3.0 * up_OR @ down_RI)
    assert torch.linalg.matrix_rank(difference) == 2


def test_folded_in_it_says_the_same_and_is_what_was_built(backbone: Layers) -> None:
    names, kinds = list(backbone.state_dict()), [type(module) for module in backbone.modules()]
    before = backbone(noise())
    said = changed(backbone)(noise())
    assert (said - before).abs().max() > 0.1
    copied = copy.deepcopy(backbone)
    merge_lora(backbone)
    assert (backbone(noise()) - said).abs().max() < 1e-5
    assert (list(backbone.state_dict()), [type(module) for module in backbone.modules()]) == (names, kinds)
    assert not has_lora(backbone)
    assert torch.equal(copied(noise()), said)


def test_dropout_is_of_training_alone(backbone: Layers) -> None:
    changed(backbone, dropout=0.5)
    said = backbone(noise())
    torch.manual_seed(0)
    backbone.train()
    assert not torch.equal(backbone(noise()), backbone(noise()))
    merge_lora(backbone)
    assert (backbone.eval()(noise()) - said).abs().max() < 1e-5


def test_gradients_reach_the_factors_alone(backbone: Layers) -> None:
    changed(backbone)
    for name, weights in backbone.named_parameters():
        weights.requires_grad_("lora_" in name)
    backbone.train()(noise()).square().sum().backward()
    reached = {name for name, weights in backbone.named_parameters() if weights.grad is not None}
    assert reached == {name for name, _ in backbone.named_parameters() if "lora_" in name}


def test_targets_are_patterns_of_names(backbone: Layers) -> None:
    changed(backbone, targets=["attention*", "plane"])
    places = {name.rpartition(".")[0] for name, _ in backbone.named_parameters() if "lora_" in name}
    assert places == {"plane", "attention", "attention.out_proj"}


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"targets": ["qkv"]}, r"fine_tune\.lora\.targets: no layer is called qkv; .*linear"),
        ({"rank": 64}, r"fine_tune\.lora\.rank: 64 is too high: .*take a lower rank"),
    ],
)
def test_where_nothing_would_be_changed_the_remedy_is_named(
    backbone: Layers, params: dict[str, object], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        changed(backbone, **params)
