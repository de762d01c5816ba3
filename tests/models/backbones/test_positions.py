import pytest
import torch
from torch import Tensor, nn

from models.backbones.positions import Positions, resize_on_load, resized


def ramp(num_steps: int, height: int, width: int) -> Tensor:
    """Positions whose features are their own coordinates, as shares of the axis."""
    axes = [(torch.arange(length) + 0.5) / length for length in (num_steps, height, width)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 2)[None]


def test_the_published_grid_stays_to_the_bit() -> None:
    position_1PD = torch.randn(1, 2 + 16, 3)
    assert resized(position_1PD, Positions((1, 4, 4), (1, 4, 4), num_extra=2)) is position_1PD


@pytest.mark.parametrize("own", [(8, 14, 14), (4, 7, 7), (8, 7, 7), (4, 14, 14)])
def test_a_place_keeps_its_embedding_on_a_finer_or_coarser_grid(own: tuple[int, int, int]) -> None:
    found = resized(ramp(8, 14, 14), Positions((8, 14, 14), own))
    inner = (slice(1, -1), slice(2, -2), slice(2, -2))  # at the rim there is nothing to interpolate from
    found_THWD, expected_THWD = found[0].view(*own, 3), ramp(*own)[0].view(*own, 3)
    torch.testing.assert_close(found_THWD[inner], expected_THWD[inner], rtol=0, atol=5e-3)


def test_class_tokens_are_no_places() -> None:
    extra, grid = torch.randn(1, 1, 3), ramp(1, 14, 14)
    found = resized(torch.cat([extra, grid], 1), Positions((1, 14, 14), (1, 7, 7), num_extra=1))
    assert found.shape == (1, 1 + 49, 3)
    assert torch.equal(found[:, :1], extra)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 4, 3))
        resize_on_load(self, {"position": Positions((1, 4, 4), (1, 2, 2))})


@pytest.mark.parametrize("inside", [False, True])
def test_loading_takes_the_published_grid_and_the_own_one_alone(inside: bool) -> None:
    net, prefix = (nn.ModuleDict({"net": _Net()}), "net.") if inside else (_Net(), "")
    published = {f"{prefix}position": torch.randn(1, 16, 3)}
    net.load_state_dict(published)
    assert published[f"{prefix}position"].shape == (1, 16, 3)  # what was read is the caller's
    own = {f"{prefix}position": torch.randn(1, 4, 3)}
    net.load_state_dict(own)
    assert torch.equal(net.state_dict()[f"{prefix}position"], own[f"{prefix}position"])
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({f"{prefix}position": torch.randn(1, 9, 3)})
