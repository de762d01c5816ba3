import pytest
import torch

from models.build import VideoModel, build_model
from models.objectives.anchor import Anchor
from models.objectives.target import Target
from models.parts import HEAD, WHOLE, Part
from tests.support.champions import MODEL

NOTHING = torch.zeros(1, 2), Target(torch.zeros(1, dtype=torch.long)), torch.zeros(1)


@pytest.fixture
def model() -> VideoModel:
    return build_model(MODEL, 2, seed=0)


def anchored(model: VideoModel, *, importance: float = 3.0, weight: float = 0.5) -> Anchor:
    anchor = {name: weights.detach().clone() for name, weights in model.state_dict().items()}

    def same(part: Part) -> dict[str, torch.Tensor]:
        names = [name for name, _ in model.named_parameters() if name.startswith(part.prefix)]
        return {name: torch.full_like(anchor[name], importance) for name in names}

    return Anchor(model, anchor, same, weight)


@pytest.mark.parametrize("part", [HEAD, WHOLE], ids=["head", "whole"])
def test_at_the_anchor_there_is_no_penalty_and_no_pull(model: VideoModel, part: Part) -> None:
    loss = anchored(model).on(part)(*NOTHING)
    assert loss.item() == 0.0
    loss.backward()
    assert all(weights.grad is None or weights.grad.abs().max() == 0 for weights in model.parameters())


def test_half_the_weighted_squared_distance(model: VideoModel) -> None:
    loss = anchored(model).on(WHOLE)
    with torch.no_grad():
        model.head.classifier.bias += torch.tensor([2.0, -1.0])
    assert loss(*NOTHING).item() == pytest.approx(0.5 * 0.5 * 3.0 * (4.0 + 1.0))


def test_a_part_hears_of_its_own_weights_alone(model: VideoModel) -> None:
    whole, head = anchored(model).on(WHOLE), anchored(model).on(HEAD)
    with torch.no_grad():
        next(model.backbone.parameters()).add_(1.0)
    assert head(*NOTHING).item() == 0.0
    assert whole(*NOTHING).item() > 0.0


def test_a_weight_without_importance_is_free(model: VideoModel) -> None:
    anchor = {name: torch.zeros_like(weights) for name, weights in model.state_dict().items()}
    assert Anchor(model, anchor, lambda _: {}, 1.0).on(WHOLE)(*NOTHING).item() == 0.0
