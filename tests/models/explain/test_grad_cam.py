import pytest
import torch
from torch import Tensor, nn

from models.backbones.family import Backbone, family_names, load_family
from models.build import VideoModel, build_model
from models.clips.sampling import ClipInput
from models.digest import tensors_digest
from models.explain.grad_cam import _Layout, _recorded, grad_cam
from models.heads.linear import LinearHead
from models.spec import ModelParams

FRAMES, SIDE, WIDTH = 4, 16, 8


class Corner(Backbone):
    """Sees the upper left quarter, and of the frames the last two, and nothing else."""

    num_features, num_steps, stages = WIDTH, 1, ()

    def pooled(self, maps_BCTHW: Tensor) -> Tensor:
        steps, side = maps_BCTHW.shape[2] // 2, maps_BCTHW.shape[3] // 2
        return maps_BCTHW[:, :, steps:, :side, :side].mean((2, 3, 4))[:, None]


class ClipMaps(Corner):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv3d(3, WIDTH, (1, 2, 2), (1, 2, 2)), nn.ReLU(inplace=True))

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        return self.pooled(self.maps(clip_BCTHW))


class CoarseInTheEnd(Corner):
    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv3d(3, WIDTH, (1, 2, 2), (1, 2, 2))
        self.coarse = nn.Conv3d(WIDTH, WIDTH, (1, 4, 4), (1, 4, 4))

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        return self.pooled(self.coarse(self.fine(clip_BCTHW)))


class FrameMaps(Corner):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, WIDTH, 2, 2)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        maps_NCHW = self.maps(clip_BCTHW.transpose(1, 2).flatten(0, 1))
        return self.pooled(maps_NCHW.unflatten(0, (len(clip_BCTHW), -1)).transpose(1, 2))


class TwoPathways(Corner):
    def __init__(self) -> None:
        super().__init__()
        self.both = _Both()
        self.join = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        return self.join(torch.cat([self.pooled(maps) for maps in self.both(clip_BCTHW)], 2))


class _Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, WIDTH, (1, 2, 2), (1, 2, 2)), nn.Conv3d(3, WIDTH, (1, 2, 2), (1, 2, 2))

    def forward(self, clip_BCTHW: Tensor) -> list[Tensor]:
        return [self.slow(clip_BCTHW[:, :, ::2]), self.fast(clip_BCTHW)]


class ClassToken(Corner):
    """Reads a class token alone, which attends to the quarter: the last block's own patches do not matter."""

    def __init__(self, by_frame: bool) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, WIDTH, (1, 4, 4), (1, 4, 4))
        self.block = _Block()
        self.by_frame = by_frame

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        maps_BCTHW = self.embed(clip_BCTHW)
        if self.by_frame:
            tokens_NPC = maps_BCTHW.transpose(1, 2).flatten(0, 1).flatten(2).transpose(1, 2)
        else:
            tokens_NPC = maps_BCTHW.flatten(2).transpose(1, 2)
        tokens_NPC = torch.cat([torch.zeros_like(tokens_NPC[:, :1]), tokens_NPC], 1)
        class_ND = self.block(tokens_NPC, maps_BCTHW.shape[2:], self.by_frame)[:, 0]
        return class_ND.unflatten(0, (len(clip_BCTHW), -1))[:, -2:].mean(1, keepdim=True)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.value = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, tokens_NPC: Tensor, grid: torch.Size, by_frame: bool) -> Tensor:
        steps, height, width = grid
        seen_THW = torch.zeros(1 if by_frame else steps, height, width)
        seen_THW[-2:, : height // 2, : width // 2] = 1.0
        attention_P = torch.cat([torch.zeros(1), seen_THW.flatten()])
        read_NC = torch.einsum("p,npc->nc", attention_P, self.value(self.norm(tokens_NPC)))
        return torch.cat([read_NC[:, None], tokens_NPC[:, 1:]], 1)


BACKBONES = {
    "maps of clips": ClipMaps,
    "maps of frames": FrameMaps,
    "a coarse last layer": CoarseInTheEnd,
    "two pathways": TwoPathways,
    "tokens of clips": lambda: ClassToken(by_frame=False),
    "tokens of frames": lambda: ClassToken(by_frame=True),
}


@pytest.fixture(params=BACKBONES)
def model(request: pytest.FixtureRequest) -> VideoModel:
    torch.manual_seed(0)
    clip_input = ClipInput(FRAMES, None, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return VideoModel(clip_input, BACKBONES[request.param](), LinearHead(WIDTH, 3, 0.5))


def clips(num_clips: int) -> Tensor:
    return torch.rand(num_clips, 3, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def test_a_model_that_looks_at_one_corner_lights_that_corner(model: VideoModel) -> None:
    map_BTHW = torch.cat([grad_cam(model, clips(4), torch.full((4,), wanted)) for wanted in range(3)])
    assert map_BTHW.shape == (12, FRAMES, SIDE, SIDE)
    lit_BTHW = map_BTHW[map_BTHW.amax((1, 2, 3)) > 0]
    assert len(lit_BTHW) >= 4  # nothing speaks for some classes
    total_B = lit_BTHW.sum((1, 2, 3))
    quarter = SIDE // 2 + 2  # as far as enlarging spreads it
    assert (lit_BTHW[:, :, :quarter, :quarter].sum((1, 2, 3)) / total_B).min() > 0.95
    assert (lit_BTHW[:, 1:].sum((1, 2, 3)) / total_B).min() > 0.95
    assert lit_BTHW.amax((1, 2, 3)).tolist() == pytest.approx([1.0] * len(lit_BTHW))


def test_a_clip_does_not_depend_on_its_batch_and_nothing_is_left_behind(model: VideoModel) -> None:
    before, model = tensors_digest(model.state_dict()), model.train()
    together_BTHW = grad_cam(model, clips(3), torch.tensor([0, 1, 2]))
    for at in range(3):
        alone_BTHW = grad_cam(model, clips(3)[at : at + 1], torch.tensor([at]))
        torch.testing.assert_close(together_BTHW[at : at + 1], alone_BTHW)
    assert model.training
    assert tensors_digest(model.state_dict()) == before
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_last_layer_that_is_too_coarse_is_passed_over() -> None:
    torch.manual_seed(0)
    clip_input = ClipInput(FRAMES, None, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    model = VideoModel(clip_input, CoarseInTheEnd(), LinearHead(WIDTH, 3, 0.5))
    map_HW = grad_cam(model, clips(1), torch.tensor([0]))[0, -1]
    places = map_HW[::2, ::2][: SIDE // 4, : SIDE // 4]
    assert len(places.flatten().unique()) > 4, "the coarse maps have four places"


def test_without_maps_it_is_said() -> None:
    class Mean(Corner):
        def forward(self, clip_BCTHW: Tensor) -> Tensor:
            return clip_BCTHW.mean((2, 3, 4))[:, None].repeat(1, 1, WIDTH)[:, :, :WIDTH]

    clip_input = ClipInput(FRAMES, None, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="no maps with height and width"):
        grad_cam(VideoModel(clip_input, Mean(), LinearHead(WIDTH, 3, 0.0)), clips(1), torch.tensor([0]))


@pytest.fixture(params=[name for name in family_names() if load_family(name).is_installed])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_family_can_be_looked_into(family: str) -> None:
    model = build_model(ModelParams(family=family, flavour="debug"), 3, seed=0)
    clip_input = model.clip_input
    shape = (2, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    clip_BCTHW = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    map_BTHW = torch.cat([grad_cam(model, clip_BCTHW, torch.full((2,), wanted)) for wanted in range(3)])
    assert map_BTHW.shape[1:] == clip_BCTHW.shape[2:]
    assert map_BTHW.isfinite().all()
    assert map_BTHW.min() >= 0
    assert map_BTHW.amax((1, 2, 3)).max() == pytest.approx(1.0)


def test_maps_and_tokens_of_every_family_lie_as_the_clip_does(family: str) -> None:
    """What changes in one corner at the end of a clip changes what comes first of it most there."""
    model = build_model(ModelParams(family=family, flavour="debug"), 3, seed=0).eval()
    clip_input = model.clip_input
    shape = (1, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    still, noise = torch.zeros(shape), torch.randn(shape, generator=torch.Generator().manual_seed(3))
    half, late = clip_input.size // 2, clip_input.num_frames // 2
    changed = still.clone()
    changed[:, :, late:, half:, :half] = noise[:, :, late:, half:, :half]
    with torch.inference_mode(), _recorded(model.backbone) as seen:
        model(torch.cat([still, changed]))
    layout = _Layout(model.backbone, seen, 2)
    outputs = [(each.module, tensor) for each in seen for tensor in each.outputs]
    tokens = [(module, tensor) for module, tensor in outputs if tensor.ndim == 3]
    tokens.sort(key=lambda each: len(each[1]) != 2)  # those of whole clips first: only they can be in another order
    maps = [layout.maps(tensor, module) for module, tensor in tokens + outputs]
    first = next(each for each in maps if each is not None)
    difference_THW = (first[1] - first[0]).abs().sum(0)
    for axis, at_the_end in ((0, True), (1, True), (2, False)):
        profile = difference_THW.sum([each for each in range(3) if each != axis])
        if len(profile) > 1:
            first_half, second_half = profile[: len(profile) // 2].sum(), profile[(len(profile) + 1) // 2 :].sum()
            assert (second_half > first_half) == at_the_end, axis
