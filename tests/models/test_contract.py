"""What every backbone with every head keeps to. A new family is tested by having a folder."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor

from models.backbones.family import family_names, load_family
from models.build import VideoModel, build_model
from models.digest import tensors_digest
from models.exports.formats import write_programs
from models.exports.program import Answering, noise
from models.saved import load_model, save_model
from models.spec import Format, HeadParams, ModelParams

HEADS = ("temporal", "linear")
NUM_CLASSES = 5


@pytest.fixture(params=[name for name in family_names() if load_family(name).is_installed])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=HEADS)
def params(family: str, request: pytest.FixtureRequest) -> ModelParams:
    return ModelParams(family=family, flavour="debug", head=HeadParams(name=request.param, hidden=16, dropout=0.3))


@pytest.fixture
def model(params: ModelParams) -> VideoModel:
    return build_model(params, NUM_CLASSES, seed=0)


def clips(model: VideoModel, num_clips: int) -> Tensor:
    clip_input = model.clip_input
    shape = (num_clips, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_every_family_has_a_small_debug_flavour(family: str) -> None:
    flavours = load_family(family).flavours
    assert "debug" in flavours
    backbone = load_family(family).build(flavours["debug"])
    assert sum(parameter.numel() for parameter in backbone.parameters()) < 100_000


def test_flavours_are_told_apart_by_what_they_take_or_by_their_size(family: str) -> None:
    flavours = load_family(family).flavours
    assert len(set(flavours.values())) == len(flavours)


def test_stages_hold_every_weight_once_in_the_order_of_the_network(family: str) -> None:
    backbone = load_family(family).build(load_family(family).flavours["debug"])
    stages = [backbone.stage_parameters(stage) for stage in backbone.stages]
    assert all(stages)
    held = [name for stage in stages for name in stage]
    assert sorted(held) == sorted(name for name, _ in backbone.named_parameters())
    owners = dict(backbone.named_modules()) | dict(backbone.named_parameters())
    assert all(stage in owners for stage in backbone.stages)


def test_shapes(model: VideoModel) -> None:
    features_BTD = model.features(clips(model, 3))
    assert features_BTD.shape == (3, model.backbone.num_steps, model.backbone.num_features)
    assert model(clips(model, 3)).shape == (3, NUM_CLASSES)
    assert model(clips(model, 3)).dtype == torch.float32


def test_the_logits_are_the_heads_view_of_the_features(model: VideoModel) -> None:
    model.eval()
    clip_BCTHW = clips(model, 2)
    assert torch.equal(model(clip_BCTHW), model.head(model.features(clip_BCTHW)))


def test_gradients_reach_every_trainable_weight(model: VideoModel) -> None:
    with torch.no_grad():
        for parameter in model.parameters():  # away from zeros that only the first step leaves behind
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    torch.manual_seed(0)
    model.train()(clips(model, 4)).logsumexp(1).sum().backward()
    unreached = [
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    assert unreached == []


def test_in_eval_mode_a_clip_does_not_depend_on_its_batch(model: VideoModel) -> None:
    model.eval()
    clip_BCTHW = clips(model, 5)
    with torch.inference_mode():
        whole_BK = model(clip_BCTHW)
        for split in ([5], [1] * 5, [2, 3], [4, 1]):
            parts_BK = torch.cat([model(part) for part in clip_BCTHW.split(split)])
            torch.testing.assert_close(parts_BK, whole_BK, rtol=1e-4, atol=1e-5)


def test_eval_mode_leaves_the_state_alone(model: VideoModel) -> None:
    before = tensors_digest(model.state_dict())
    model.eval()(clips(model, 2))
    assert tensors_digest(model.state_dict()) == before


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(params: ModelParams) -> None:
    digests = [tensors_digest(build_model(params, NUM_CLASSES, seed=seed).state_dict()) for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_building_leaves_the_callers_random_state_alone(params: ModelParams) -> None:
    before = torch.get_rng_state()
    build_model(params, NUM_CLASSES, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_state_round_trip_to_the_byte(model: VideoModel, params: ModelParams, tmp_path: Path) -> None:
    labels = [f"label {number}" for number in range(NUM_CLASSES)]
    save_model(tmp_path / "model", model, params, labels)
    loaded, card = load_model(tmp_path / "model")
    assert tensors_digest(loaded.state_dict()) == tensors_digest(model.state_dict())
    assert card["labels"] == labels
    assert torch.equal(loaded(clips(model, 2)), model.eval()(clips(model, 2)))


def test_the_backbone_of_a_saved_model_starts_another(model: VideoModel, params: ModelParams, tmp_path: Path) -> None:
    save_model(tmp_path / "model", model, params, ["a", "b", "c", "d", "e"])
    started = params.model_copy(update={"weights": str(tmp_path / "model" / "weights.safetensors")})
    other = build_model(started, 2, seed=9)
    assert tensors_digest(other.backbone.state_dict()) == tensors_digest(model.backbone.state_dict())


def test_exported_programs_say_the_same_for_any_batch(family: str, tmp_path: Path) -> None:
    model = build_model(ModelParams(family=family, flavour="debug", head=HeadParams(hidden=16)), NUM_CLASSES, seed=0)
    calibration = [noise(model.clip_input, num_clips) for num_clips in (2, 3)]
    made, failed = write_programs(model, get_args(Format), lambda: calibration, tmp_path)
    assert made.keys() | failed.keys() == set(get_args(Format))
    assert all(reason.startswith("it cannot be exported: ") for reason in failed.values())
    assert failed.keys() <= {"int8"}
    answering = Answering(model.eval())
    with torch.inference_mode():
        for num_clips in (1, 2, 5):
            clip_BCTHW = clips(model, num_clips)
            for name, program in made.items():
                expected = answering(clip_BCTHW)
                if name == "int8":  # what it loses is measured where it is accepted; here, that batches change nothing
                    alone = [program(clip) for clip in clip_BCTHW.split(1)]
                    expected = torch.cat([each[0] for each in alone]), torch.cat([each[1] for each in alone])
                torch.testing.assert_close(program(clip_BCTHW), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_close_to_float32(model: VideoModel) -> None:
    model.eval()
    with torch.inference_mode():
        exact_BK = model(clips(model, 2))
        with torch.autocast("cpu", torch.bfloat16):
            rough_BK = model(clips(model, 2)).float()
    assert (rough_BK.softmax(1) - exact_BK.softmax(1)).abs().max() < 0.05


def test_the_temporal_head_sees_the_order_of_steps(family: str) -> None:
    head = HeadParams(name="temporal", hidden=16)
    model = build_model(ModelParams(family=family, flavour="debug", head=head), NUM_CLASSES, seed=0).eval()
    if model.backbone.num_steps == 1:
        assert family == "c3d"  # which looks along time itself
        return
    features_BTD = torch.randn(4, model.backbone.num_steps, model.backbone.num_features)
    with torch.inference_mode():
        difference_BK = model.head(features_BTD) - model.head(features_BTD.flip(1))
    assert difference_BK.abs().amax(1).min() > 1e-3


def test_a_clip_played_backwards_is_another_clip(family: str) -> None:
    head = HeadParams(name="temporal", hidden=16)
    model = build_model(ModelParams(family=family, flavour="debug", head=head), NUM_CLASSES, seed=0).eval()
    with torch.inference_mode():
        difference_BK = model(clips(model, 4)) - model(clips(model, 4).flip(2))
    assert difference_BK.abs().amax(1).min() > 1e-4
