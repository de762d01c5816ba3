from typing import Any

import pytest
import torch
from torch import Tensor

from models.build import VideoModel, build_model
from models.clips.reframe import Reframe
from models.digest import tensors_digest
from models.errors import UserError
from models.loop import fit
from models.objectives.target import Target
from models.objectives.teacher import taught
from models.parts import HEAD, WHOLE
from models.spec import FineTuneParams, ModelParams, TeacherParams
from tests.support.champions import MODEL
from tests.support.clips import NoiseLoader

LABELS, THEIRS = ["jump", "run", "walk"], ["walk", "bow", "run"]
OTHER = ModelParams(family="c3d", flavour="debug", head=MODEL.head)


@pytest.fixture
def student() -> VideoModel:
    return build_model(MODEL, len(LABELS), seed=0)


@pytest.fixture(scope="module")
def teacher() -> VideoModel:
    return build_model(OTHER, len(THEIRS), seed=1).eval()


def clips(student: VideoModel) -> Tensor:
    taken = student.clip_input
    shape = (4, 3, taken.num_frames, taken.size, taken.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def lesson(student: VideoModel, teacher: VideoModel, logits_BK: Tensor | None = None, **params: Any) -> Tensor:
    """The loss of one step, with gradients in the student."""
    with taught(student, LABELS, teacher, THEIRS, TeacherParams.model_validate(params), seed=0) as lessons:
        student.train()
        said_BK = student(clips(student))
        said_BK = said_BK if logits_BK is None else logits_BK
        loss = lessons.on(WHOLE)(said_BK, Target(torch.zeros(4, dtype=torch.long)), clips(student))
        if loss.requires_grad:
            loss.backward()
    return loss.detach()


def test_who_says_the_same_of_shared_classes_has_nothing_to_learn(student: VideoModel, teacher: VideoModel) -> None:
    answer_BA = teacher(Reframe(student.clip_input, teacher.clip_input)(clips(student))).detach()
    same_BK = torch.stack([torch.full((4,), 7.0), answer_BA[:, 2], answer_BA[:, 0]], 1)
    assert lesson(student, teacher, same_BK).item() == pytest.approx(0.0, abs=1e-6)
    assert lesson(student, teacher, same_BK.flip(1)) > 1e-4


def test_lessons_reach_the_student_alone(student: VideoModel, teacher: VideoModel) -> None:
    for params in ({"logits": 1.0}, {"logits": 0.0, "features": 1.0}):
        student.zero_grad()
        assert lesson(student, teacher, **params) > 0
        gradients = [weights.grad for weights in student.backbone.parameters()]
        assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
        assert all(weights.grad is None for weights in teacher.parameters())


def test_a_head_on_features_is_not_taught(student: VideoModel, teacher: VideoModel) -> None:
    with taught(student, LABELS, teacher, THEIRS, TeacherParams(), seed=0) as lessons:
        assert lessons.on(HEAD)(torch.zeros(4, 3), Target(torch.zeros(4)), torch.zeros(4)).item() == 0.0


def test_nothing_of_the_teacher_is_left(student: VideoModel, teacher: VideoModel) -> None:
    before, random = tensors_digest(student.state_dict()), torch.get_rng_state()
    with taught(student, LABELS, teacher, THEIRS, TeacherParams(features=1.0), seed=0):
        assert len(list(student.named_parameters())) > len(list(build_model(MODEL, 3, seed=0).named_parameters()))
    assert tensors_digest(student.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), random)
    assert not student.backbone._forward_hooks


def test_features_come_nearer_while_they_are_taught(student: VideoModel, teacher: VideoModel) -> None:
    job = FineTuneParams(
        epochs=6, batch_size=6, lr=0.02, backbone_lr_scale=1.0, warmup_epochs=0, early_stopping_patience=0,
        num_threads=1, schedule="step", label_smoothing=0.0,
    )  # fmt: skip
    losses: list[float] = []
    loader = NoiseLoader(student.clip_input, 12, 6)
    with taught(student, LABELS, teacher, THEIRS, TeacherParams(logits=0.0, features=1.0), seed=0) as lessons:
        fit(student, loader, loader, job, seed=0, objective=lessons, on_epoch=lambda e: losses.append(e.train_loss))
    assert losses[-1] < 0.8 * losses[0]


def test_a_teacher_of_other_classes_teaches_no_answers(student: VideoModel, teacher: VideoModel) -> None:
    with (
        pytest.raises(UserError, match=r"fine_tune\.teacher\.logits: the teacher has fewer than two classes"),
        taught(student, LABELS, teacher, ["bow", "fall", "run"], TeacherParams(), seed=0),
    ):
        pass
    with taught(student, LABELS, teacher, ["bow", "fall", "sit"], TeacherParams(logits=0.0, features=1.0), seed=0):
        pass
