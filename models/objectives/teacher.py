"""What another model, perhaps a larger one of another family, says of the same frames.

Shapes: B clips, T steps and D features of the student, U steps and E features of the teacher, S steps of the one with
fewer, K classes of the student, C classes that both have.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.build import VideoModel
from models.clips.reframe import Reframe
from models.errors import UserError
from models.objectives.each_label import binary_divergence
from models.objectives.objective import Loss, Objective
from models.objectives.target import Target
from models.parts import Part
from models.spec import TeacherParams

_PROJECTION = "teacher_projection"


@contextmanager
def taught(
    student: VideoModel,
    labels: Sequence[str],
    teacher: VideoModel,
    teacher_labels: Sequence[str],
    params: TeacherParams,
    *,
    seed: int,
) -> Iterator[Objective]:
    """While this lasts, the student can be taught.

    The teacher gets the student's frames as it takes them itself (:class:`models.clips.reframe.Reframe`), so that it
    judges the very clips that the student sees, mixed or attacked (Beyer et al. 2022, arXiv:2106.05237). It has nothing
    to say to a head that is trained on features alone.

    Args:
        student: What is trained. For the features it gets a projection, which is trained with it and, with all hooks,
            taken away at the end.
        labels: The student's, in the order of its classes.
        teacher: On the student's device.
        teacher_labels: The teacher's.
        params: Weights and temperature.
        seed: Of the projection's random weights.

    Raises:
        UserError: The models have fewer than two classes in common, and answers are to be taught.
    """
    shared = [label for label in labels if label in teacher_labels]
    if params.logits and len(shared) < 2:
        raise UserError(
            "params.yaml: fine_tune.teacher.logits: the teacher has fewer than two classes in common with the dataset; "
            "take another teacher, or set this to 0 and teach features alone"
        )
    lessons = _Lessons(student, labels, teacher, teacher_labels, shared, params)
    if params.features:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            projection = nn.Linear(student.backbone.num_features, teacher.backbone.num_features)
        student.add_module(_PROJECTION, projection.to(next(student.parameters()).device))
    hook = student.backbone.register_forward_hook(lessons.see_features)
    try:
        yield lessons
    finally:
        hook.remove()
        if params.features:
            delattr(student, _PROJECTION)


class _Lessons:
    """Divergence from the teacher's answers, and distance from its features.

    Answers: Kullback-Leibler divergence of softened probabilities over shared classes, times the temperature's square
    (Hinton et al. 2015, arXiv:1503.02531); where clips may have several labels, of each label on its own. Features:
    mean squared distance of the projected features from the teacher's, at each step in time, the teacher's standardised
    so that a weight means the same for each teacher (Romero et al. 2015, arXiv:1412.6550).
    """

    def __init__(
        self,
        student: VideoModel,
        labels: Sequence[str],
        teacher: VideoModel,
        teacher_labels: Sequence[str],
        shared: Sequence[str],
        params: TeacherParams,
    ) -> None:
        device = next(teacher.parameters()).device
        self._ours_C = torch.tensor([list(labels).index(label) for label in shared], device=device)
        self._theirs_C = torch.tensor([list(teacher_labels).index(label) for label in shared], device=device)
        self._student = student
        self._teacher = teacher.eval()
        self._reframe = Reframe(student.clip_input, teacher.clip_input)
        self._params = params
        self._features_BTD: Tensor | None = None

    def see_features(self, backbone: nn.Module, _: object, features_BTD: Tensor) -> None:
        """Keep what the student made of the clips of this step."""
        if backbone.training:
            self._features_BTD = features_BTD

    def on(self, part: Part) -> Loss:
        """The lessons of a part that takes clips; none for one that takes features."""
        return _nothing if part.prefix else self._loss

    def _loss(self, logits_BK: Tensor, target: Target, clip_BCTHW: Tensor) -> Tensor:
        with torch.no_grad():
            theirs_BUE = self._teacher.features(self._reframe(clip_BCTHW))
            answer_BC = self._teacher.head(theirs_BUE).float().index_select(1, self._theirs_C)
        loss = logits_BK.new_zeros(())
        if self._params.logits:
            loss = loss + self._params.logits * self._divergence(logits_BK, answer_BC, each=target.several)
        if self._params.features:
            loss = loss + self._params.features * self._distance(theirs_BUE.float())
        return loss

    def _divergence(self, logits_BK: Tensor, answer_BC: Tensor, *, each: bool) -> Tensor:
        temperature = self._params.temperature
        if each:
            said_BC = logits_BK.index_select(1, self._ours_C)
            return temperature**2 * binary_divergence(said_BC / temperature, answer_BC / temperature).sum(1).mean()
        said_BC = (logits_BK.index_select(1, self._ours_C) / temperature).log_softmax(1)
        wanted_BC = (answer_BC / temperature).log_softmax(1)
        divergence = F.kl_div(said_BC, wanted_BC, reduction="batchmean", log_target=True)
        scaled: Tensor = temperature**2 * divergence
        return scaled

    def _distance(self, theirs_BUE: Tensor) -> Tensor:
        if self._features_BTD is None:
            raise RuntimeError("a training step must pass through the student's backbone, in training mode")
        ours_BTE = self._student.get_submodule(_PROJECTION)(self._features_BTD.float())
        num_steps = min(ours_BTE.shape[1], theirs_BUE.shape[1])
        ours_BSE, theirs_BSE = (_fewer_steps(each, num_steps) for each in (ours_BTE, theirs_BUE))
        return F.mse_loss(ours_BSE, F.layer_norm(theirs_BSE, theirs_BSE.shape[2:]))


def _nothing(logits_BK: Tensor, _: Target, __: Tensor) -> Tensor:
    return logits_BK.new_zeros(())


def _fewer_steps(features_BTD: Tensor, num_steps: int) -> Tensor:
    """Means over stretches of time; the same where there are so many steps already."""
    if features_BTD.shape[1] == num_steps:
        return features_BTD
    return F.adaptive_avg_pool1d(features_BTD.transpose(1, 2), num_steps).transpose(1, 2)
