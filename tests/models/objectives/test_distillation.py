from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from models.build import VideoModel, build_model
from models.champion import Champion, hand_over, load_champion
from models.objectives.distillation import Distillation
from models.objectives.target import Target
from models.parts import HEAD, WHOLE, Part
from models.spec import DistillationParams
from tests.support.champions import MODEL, write_champion

OLD, NEW = ["run", "walk"], ["jump", "run", "walk"]


@pytest.fixture
def champion(tmp_path: Path) -> Champion:
    return load_champion(write_champion(tmp_path / "champion", OLD), MODEL)


@pytest.fixture(params=[HEAD, WHOLE], ids=["head", "whole"])
def part(request: pytest.FixtureRequest) -> Part:
    found: Part = request.param
    return found


def student_loss(
    champion: Champion, part: Part, *, perturb: float, right: bool = True
) -> tuple[VideoModel, torch.Tensor]:
    """The loss of a student that starts from the champion, a little moved, with the gradients in its parameters."""
    student = build_model(MODEL, len(NEW), seed=3).eval()
    hand_over(champion, student, NEW)
    with torch.no_grad():
        for weights in student.parameters():
            weights.add_(perturb * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    clip_input = student.clip_input
    clip_BCTHW = torch.randn(3, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    inputs = part.inputs(student, clip_BCTHW).detach()
    answer_B = part.module(champion.model)(inputs).argmax(1)
    label_B = 1 + (answer_B if right else 1 - answer_B)
    logits_BK = part.module(student)(inputs)
    loss = Distillation(champion, NEW, DistillationParams(weight=1.0)).on(part)(logits_BK, Target(label_B), inputs)
    loss.backward()
    return student, loss


def test_a_student_that_says_the_same_is_left_alone(champion: Champion, part: Part) -> None:
    student, loss = student_loss(champion, part, perturb=0.0)
    assert loss.abs() < 1e-6
    gradients = [weights.grad for weights in part.module(student).parameters()]
    assert max(gradient.abs().max() for gradient in gradients if gradient is not None) < 1e-6


def test_one_that_says_something_else_is_not(champion: Champion, part: Part) -> None:
    student, loss = student_loss(champion, part, perturb=0.1)
    assert loss > 1e-5
    assert any(weights.grad is not None and weights.grad.abs().max() > 0 for weights in student.parameters())


def test_new_classes_are_free(champion: Champion) -> None:
    student, _ = student_loss(champion, WHOLE, perturb=0.1)
    gradient_KF = student.head.classifier.weight.grad
    assert gradient_KF[0].abs().max() == 0
    assert gradient_KF[1:].abs().max() > 0


def test_it_is_the_divergence_of_softened_probabilities(champion: Champion) -> None:
    torch.manual_seed(0)
    logits_BK, wanted_BC = torch.randn(5, 3), torch.randn(5, 2)
    label_B = wanted_BC.argmax(1) + 1
    champion.model.head = torch.nn.Identity()
    loss = Distillation(champion, NEW, DistillationParams(weight=0.5, temperature=4.0)).on(HEAD)
    p, log_q = (wanted_BC / 4).softmax(1), F.log_softmax(logits_BK[:, 1:] / 4, 1)
    expected = 0.5 * 16 * (p * (p.log() - log_q)).sum(1).mean()
    assert loss(logits_BK, Target(label_B), wanted_BC).item() == pytest.approx(expected.item(), rel=1e-5)


def test_of_clips_of_a_new_class_all_answers_count(champion: Champion) -> None:
    champion.model.head = torch.nn.Identity()
    loss = Distillation(champion, NEW, DistillationParams(weight=1.0)).on(HEAD)
    new_class, wanted_BC = torch.zeros(2, dtype=torch.long), torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    assert loss(torch.zeros(2, 3), Target(new_class), wanted_BC).item() > 0.1


def test_wrong_answers_are_not_taught(champion: Champion, part: Part) -> None:
    _, loss = student_loss(champion, part, perturb=0.1, right=False)
    assert loss.item() == 0.0


def test_the_teacher_gets_no_gradient(champion: Champion) -> None:
    student_loss(champion, WHOLE, perturb=0.1)
    assert all(weights.grad is None for weights in champion.model.parameters())
