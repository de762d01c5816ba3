import pytest
import torch
from torch import Tensor, nn

from models.backbones.family import Backbone, family_names, load_family
from models.errors import UserError
from models.stochastic_depth import residual_branches, stochastic_depth

FAMILIES = {name for name in family_names() if load_family(name).is_installed}
WITHOUT_BRANCHES = {"c3d", "i3d_inception"}


class Tower(Backbone):
    """Ten branches that each add one."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Plus() for _ in range(10)))

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        rows: Tensor = self.blocks(clip_BCTHW.transpose(1, 2).flatten(0, 1))
        return rows.unflatten(0, (len(clip_BCTHW), -1)).mean((2, 3, 4))[..., None]


class Plus(nn.Module):
    residual_branches = ("branch",)

    def __init__(self) -> None:
        super().__init__()
        self.branch = One()

    def forward(self, rows: Tensor) -> Tensor:
        total: Tensor = rows + self.branch(rows)
        return total


class One(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return torch.ones_like(rows)


def backbone_of(family: str) -> tuple[Backbone, Tensor]:
    flavour = load_family(family).flavours["debug"]
    taken = flavour.clip_input
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = load_family(family).build(flavour)
        return backbone, torch.randn(2, 3, taken.num_frames, taken.size, taken.size)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_but_those_without_shortcuts_has_branches(family: str) -> None:
    backbone, _ = backbone_of(family)
    assert bool(residual_branches(backbone)) == (family not in WITHOUT_BRANCHES)


@pytest.mark.parametrize("family", sorted(FAMILIES - WITHOUT_BRANCHES))
def test_training_leaves_out_branches_and_evaluation_none(family: str) -> None:
    backbone, clip_BCTHW = backbone_of(family)
    with torch.no_grad():
        for weights in backbone.parameters():  # last layers of branches may start from zero
            weights.add_(0.02)
        plain = backbone.eval()(clip_BCTHW)
        names = list(backbone.state_dict())
        with stochastic_depth(backbone, 0.9):
            assert torch.equal(backbone.eval()(clip_BCTHW), plain)
            assert list(backbone.state_dict()) == names
            for branch in residual_branches(backbone):
                branch.training = True
            torch.manual_seed(1)
            assert not torch.equal(backbone(clip_BCTHW), plain)
        assert torch.equal(backbone(clip_BCTHW), plain)


def test_deeper_branches_are_left_out_more_and_the_mean_stays() -> None:
    tower, rate = Tower().train(), 0.6
    clip_BCTHW = torch.zeros(4000, 1, 2, 1, 1)
    torch.manual_seed(0)
    kept: list[float] = []
    for block in tower.blocks:
        block.register_forward_hook(
            lambda _block, rows, result: kept.append(float((result - rows[0] != 0).float().mean()))
        )
    with stochastic_depth(tower, rate):
        features_BTD = tower(clip_BCTHW)
    assert kept == pytest.approx([1.0 - rate * (number + 1) / 10 for number in range(10)], abs=0.03)
    assert features_BTD.mean().item() == pytest.approx(10.0, rel=0.02)


def test_all_frames_of_a_clip_go_the_same_way() -> None:
    tower = Tower().train()
    torch.manual_seed(0)
    with stochastic_depth(tower, 0.8):
        features_BTD = tower(torch.zeros(6, 1, 3, 1, 1))
    assert torch.equal(features_BTD, features_BTD[:, :1].expand_as(features_BTD))
    assert features_BTD[:, 0, 0].unique().numel() > 1


def test_a_network_without_branches_is_named() -> None:
    backbone, _ = backbone_of("c3d")
    says = r"fine_tune\.stochastic_depth: C3D has no residual branches"
    with pytest.raises(UserError, match=says), stochastic_depth(backbone, 0.1):
        pass
    with stochastic_depth(backbone, 0.0):
        pass
