"""What the losses have in common, and what each is for."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.objectives.binary import Binary
from models.objectives.build import build_objective
from models.objectives.class_balance import class_weights
from models.objectives.focal import Focal
from models.objectives.target import Target
from models.parts import HEAD
from models.spec import FineTuneParams, LossParams

NAMES = ["cross_entropy", "focal", "binary"]
LABEL_B = torch.tensor([0, 2, 1, 1])


def logits() -> Tensor:
    return 3.0 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def loss_of(name: str, target: Target, logits_BK: Tensor, count_K: Tensor | None = None, **loss: float) -> Tensor:
    job = FineTuneParams(loss=LossParams.model_validate({"name": name, **loss}), label_smoothing=0.1)
    return build_objective(job, count_K).on(HEAD)(logits_BK, target, torch.zeros(4))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("balance", [0.0, 0.9])
def test_a_label_is_a_share_of_one(name: str, balance: float) -> None:
    count_K = torch.tensor([3, 1, 7])
    shares = Target(LABEL_B, F.one_hot(LABEL_B, 3).float())
    plain = loss_of(name, Target(LABEL_B), logits(), count_K, class_balance=balance)
    torch.testing.assert_close(plain, loss_of(name, shares, logits(), count_K, class_balance=balance))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls_where_its_gradient_leads(name: str) -> None:
    logits_BK = logits().requires_grad_()
    before = loss_of(name, Target(LABEL_B), logits_BK)
    before.backward()
    assert logits_BK.grad is not None
    assert loss_of(name, Target(LABEL_B), logits_BK.detach() - logits_BK.grad) < before


@pytest.mark.parametrize("name", NAMES)
def test_scores_that_are_sure_leave_numbers(name: str) -> None:
    for wrong in (False, True):
        logits_BK = (200.0 * F.one_hot((LABEL_B + wrong) % 3, 3)).float().requires_grad_()
        loss = loss_of(name, Target(LABEL_B), logits_BK, focal_gamma=0.5)
        loss.backward()
        assert loss.isfinite()
        assert logits_BK.grad is not None
        assert logits_BK.grad.isfinite().all()


def test_focal_without_focus_is_the_cross_entropy() -> None:
    loss = Focal(0.0, 0.1).on(HEAD)(logits(), Target(LABEL_B), torch.zeros(4))
    torch.testing.assert_close(loss, F.cross_entropy(logits(), LABEL_B, label_smoothing=0.1))


def test_focal_is_the_papers() -> None:
    p_B = logits().softmax(1)[range(4), LABEL_B]
    loss = Focal(2.0, 0.0).on(HEAD)(logits(), Target(LABEL_B), torch.zeros(4))
    torch.testing.assert_close(loss, (-((1 - p_B) ** 2) * p_B.log()).mean())


def test_a_clip_of_several_labels_wants_yes_for_each() -> None:
    share_BK = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    logits_BK = 20.0 * (2.0 * share_BK - 1.0)
    loss = Binary(0.0).on(HEAD)(logits_BK, Target(LABEL_B, share_BK), torch.zeros(4))
    assert loss < 1e-6


@pytest.mark.parametrize("beta", [0.5, 0.99, 1.0])
def test_a_rare_class_counts_more_and_the_mean_stays_one(beta: float) -> None:
    weight_K = class_weights(torch.tensor([100, 10, 0, 1]), beta)
    assert weight_K[0] < weight_K[1] < weight_K[3]
    assert weight_K[2] == 0.0
    assert weight_K.sum().item() == pytest.approx(3.0)


def test_the_ends_of_the_balance() -> None:
    count_K = torch.tensor([100, 10, 1])
    assert class_weights(count_K, 0.0).tolist() == [1.0, 1.0, 1.0]
    by_frequency_K = class_weights(count_K, 1.0)
    assert (by_frequency_K * count_K).tolist() == pytest.approx([float(by_frequency_K[2])] * 3)
    torch.testing.assert_close(class_weights(count_K, 1.0 - 1e-9), by_frequency_K, rtol=1e-4, atol=0.0)
