from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.adversarial import PixelBound, attack
from models.build import VideoModel, build_model
from models.clip_examples import ClipExamples
from models.clips.loader import Batch
from models.loop import fit
from models.objectives.target import Target
from models.robustness import robust_correct
from models.spec import FineTuneParams, HeadParams, ModelParams
from tests.support.clips import ArrayLoader
from tests.support.toy import EPSILON, toy_clips

MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="linear", hidden=8, dropout=0.0))
LABEL_B = torch.tensor([0, 1, 0, 1])


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return build_model(MODEL, 2, seed=0).eval()


def clips(model: VideoModel) -> Tensor:
    return toy_clips(model.clip_input, 4, seed=1)[0]


def pixels(model: VideoModel, clip_BCTHW: Tensor) -> Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1, 1) for each in (model.clip_input.mean, model.clip_input.std))
    return 255.0 * (clip_BCTHW * std + mean)


def loss(model: nn.Module, clip_BCTHW: Tensor) -> float:
    with torch.no_grad():
        return float(F.cross_entropy(model(clip_BCTHW), LABEL_B))


@pytest.mark.parametrize(("steps", "seed"), [(1, None), (5, 0)], ids=["fgsm", "pgd"])
@pytest.mark.parametrize("epsilon", [2.0, 200.0])
def test_an_attack_stays_within_its_bound_and_raises_the_loss(
    model: VideoModel, steps: int, seed: int | None, epsilon: float
) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    bound = PixelBound(model.clip_input, epsilon)
    attacked_BCTHW = attack(model, clips(model), Target(LABEL_B), bound, steps=steps, rng=rng)
    shown = pixels(model, attacked_BCTHW)
    assert (shown - pixels(model, clips(model))).abs().max() <= epsilon + 1e-3
    assert shown.min() > -1e-3
    assert shown.max() < 255.001
    assert loss(model, attacked_BCTHW) > loss(model, clips(model))


def test_more_steps_mislead_more(model: VideoModel) -> None:
    bound = PixelBound(model.clip_input, 4.0)
    one, many = (
        attack(model, clips(model), Target(LABEL_B), bound, steps=steps, rng=np.random.default_rng(0))
        for steps in (1, 20)
    )
    assert loss(model, many) >= loss(model, one)


def test_an_attack_leaves_the_model_alone() -> None:
    model = build_model(MODEL, 2, seed=0).train()
    model.backbone.eval()
    random = torch.get_rng_state()
    attack(model, clips(model), Target(LABEL_B), PixelBound(model.clip_input, 4.0), steps=2, rng=None)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(weights.grad is None for weights in model.parameters())
    assert (model.training, model.backbone.training, model.head.training) == (True, False, True)


def examples(model: VideoModel, **adversarial: Any) -> ClipExamples:
    return ClipExamples(model, FineTuneParams.model_validate({"adversarial": adversarial}), seed=0)


@pytest.mark.parametrize("method", ["fgsm", "pgd"])
def test_the_share_of_a_batch_is_attacked_and_a_seed_says_which(model: VideoModel, method: str) -> None:
    batch = Batch(clips(model), LABEL_B, torch.arange(4))
    made = examples(model, method=method, share=0.5)
    (first, _), (again, _), (other, _) = (made(batch, 1, position) for position in (0, 0, 1))
    assert (first != batch.clip_BCTHW).flatten(1).any(1).sum() == 2
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.fixture(scope="module")
def robust() -> dict[str, float]:
    """Robust accuracy on toy clips of models trained plainly and against attacks."""
    job = {
        "epochs": 12, "batch_size": 16, "lr": 0.01, "backbone_lr_scale": 1.0, "early_stopping_patience": 0,
        "label_smoothing": 0.0, "weight_decay": 0.0, "num_threads": 1,
    }  # fmt: skip
    more = {
        "plain": {},
        "pgd": {"adversarial": {"method": "pgd", "epsilon": EPSILON, "steps": 2, "share": 1.0}},
    }
    found = {}
    for name, change in more.items():
        model = build_model(MODEL, 2, seed=0)
        train, val = (ArrayLoader(*toy_clips(model.clip_input, 64, seed), shuffle=True) for seed in (1, 2))
        fit(model, train, val, FineTuneParams.model_validate({**job, **change}), seed=0)
        test = ArrayLoader(*toy_clips(model.clip_input, 60, 3))
        found[name] = float(robust_correct(model.eval(), test, epsilon=EPSILON, steps=5, seed=0).mean())
    return found


def test_without_mixing_and_attacks_a_batch_stays_what_it_is(model: VideoModel) -> None:
    batch = Batch(clips(model), LABEL_B, torch.arange(4))
    clip_BCTHW, target = examples(model)(batch, 0, 0)
    assert clip_BCTHW is batch.clip_BCTHW
    assert (target.label_B is LABEL_B, target.share_BK) == (True, None)


def test_training_against_attacks_gives_a_more_robust_model(robust: dict[str, float]) -> None:
    assert robust["plain"] < 0.2
    assert robust["pgd"] > 0.6
