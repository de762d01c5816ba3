from typing import Any

import pytest
import torch

from models.build import VideoModel, build_model
from models.objectives.fisher import fisher_diagonal
from models.parts import HEAD, WHOLE, Part
from models.spec import HeadParams
from tests.support.champions import MODEL
from tests.support.clips import NoiseLoader

LINEAR = MODEL.model_copy(update={"head": HeadParams(name="linear")})


@pytest.fixture
def model() -> VideoModel:
    return build_model(LINEAR, 3, seed=0).eval()


def test_of_a_linear_head_it_is_what_the_formula_says(model: VideoModel) -> None:
    # One class is certain: drawn labels are known, and the bias's gradient is one-hot minus probabilities.
    with torch.no_grad():
        model.head.classifier.weight.zero_()
        model.head.classifier.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
    found = fisher_diagonal(model, HEAD, NoiseLoader(model.clip_input), seed=0)
    assert found["head.classifier.bias"].max() < 1e-12
    with torch.no_grad():
        model.head.classifier.bias.zero_()
    found = fisher_diagonal(model, HEAD, NoiseLoader(model.clip_input, num_clips=300), seed=0)
    # Variance of one-hot at three equal classes: p (1 - p).
    torch.testing.assert_close(found["head.classifier.bias"], torch.full((3,), 2 / 9), rtol=0.2, atol=0)


@pytest.mark.parametrize("part", [HEAD, WHOLE], ids=["head", "whole"])
def test_every_weight_of_the_part_under_its_name(model: VideoModel, part: Part) -> None:
    found = fisher_diagonal(model, part, NoiseLoader(model.clip_input), seed=0)
    weights = {name: each for name, each in model.named_parameters() if name.startswith(part.prefix)}
    assert {name: each.shape for name, each in found.items()} == {name: each.shape for name, each in weights.items()}
    assert all((each >= 0).all() for each in found.values())
    assert any((each > 0).any() for each in found.values())


def test_the_head_alone_and_within_the_whole_are_the_same(model: VideoModel) -> None:
    alone, whole = (fisher_diagonal(model, part, NoiseLoader(model.clip_input), seed=0) for part in (HEAD, WHOLE))
    for name, each in alone.items():
        torch.testing.assert_close(whole[name], each, rtol=1e-3, atol=1e-9)


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_random_state_alone(model: VideoModel) -> None:
    def found(seed: int) -> Any:
        return fisher_diagonal(model, HEAD, NoiseLoader(model.clip_input), seed=seed)["head.classifier.weight"]

    before = torch.get_rng_state()
    assert torch.equal(found(0), found(0))
    assert not torch.equal(found(0), found(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(weights.grad is None for weights in model.parameters())
