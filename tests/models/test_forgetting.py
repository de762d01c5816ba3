"""An old world, a new one in which the same classes look otherwise, and what is left of the old after that."""

import pytest
import torch
from torch import Tensor

from models.build import VideoModel, build_model
from models.champion import Champion, hand_over
from models.inference import infer
from models.loop import fit
from models.objectives.build import build_continual_objective
from models.spec import ContinualParams, FineTuneParams, ModelParams
from tests.support.champions import MODEL
from tests.support.clips import ArrayLoader

LABELS = ["bow", "jump", "run", "walk"]
JOB = FineTuneParams(
    method="head", epochs=15, batch_size=8, lr=0.01, warmup_epochs=0.5, early_stopping_patience=0, num_threads=1
)
PARAMS = MODEL.model_copy(update={"head": MODEL.head.model_copy(update={"hidden": 16, "dropout": 0.0})})
NUM_PER_CLASS = 8


class World:
    """Noise over a colour that changes in time in a way of each class; another world has other colours."""

    def __init__(self, params: ModelParams, seed: int) -> None:
        clip_input = build_model(params, 2, seed=0).clip_input
        colours_KCT = torch.randn(len(LABELS), 3, clip_input.num_frames, generator=torch.Generator().manual_seed(seed))
        self._pattern_KCTHW = colours_KCT[..., None, None].expand(-1, -1, -1, clip_input.size, clip_input.size)

    def clips(self, num_per_class: int, seed: int) -> tuple[Tensor, Tensor]:
        label_N = torch.arange(num_per_class * len(LABELS)) % len(LABELS)
        generator = torch.Generator().manual_seed(seed)
        noise_NCTHW = torch.randn(len(label_N), *self._pattern_KCTHW.shape[1:], generator=generator)
        return self._pattern_KCTHW[label_N] + noise_NCTHW, label_N


OLD, NEW = World(PARAMS, 1), World(PARAMS, 2)


def accuracy(model: VideoModel, world: World) -> float:
    loader = ArrayLoader(*world.clips(20, seed=99))
    logits_NK, label_N = infer(model, model, loader, title="test")
    return float((logits_NK.argmax(1) == label_N).float().mean())


@pytest.fixture(scope="module")
def champion() -> Champion:
    model = build_model(PARAMS, len(LABELS), seed=0)
    fit(model, ArrayLoader(*OLD.clips(NUM_PER_CLASS, 3), shuffle=True), ArrayLoader(*OLD.clips(4, 4)), JOB, seed=0)
    return Champion(model.eval(), LABELS, frozenset())


def trained_on(champion: Champion, *, num_rehearsed: int, **continual: object) -> VideoModel:
    """A model that starts from the champion and learns the new world, with some clips a class of the old one."""
    new, old = NEW.clips(NUM_PER_CLASS, 5), OLD.clips(NUM_PER_CLASS, 3)
    size = num_rehearsed * len(LABELS)
    train = [torch.cat([new[at], old[at][:size]]) for at in (0, 1)]
    model = build_model(PARAMS, len(LABELS), seed=1)
    hand_over(champion, model, LABELS)
    params = ContinualParams.model_validate(continual)
    memory = ArrayLoader(*old)
    objective = build_continual_objective(JOB, params, model, LABELS, champion, memory, seed=0)
    loaders = ArrayLoader(train[0], train[1], shuffle=True), ArrayLoader(*NEW.clips(4, 6))
    fit(model, *loaders, JOB, seed=0, objective=objective)
    return model


@pytest.fixture(scope="module")
def heedless(champion: Champion) -> VideoModel:
    """What training on the new world alone comes to."""
    return trained_on(champion, num_rehearsed=0, distillation={"weight": 0.0})


def test_training_on_the_new_world_alone_forgets_the_old(champion: Champion, heedless: VideoModel) -> None:
    assert accuracy(champion.model, OLD) > 0.9
    assert accuracy(champion.model, NEW) < 0.5
    assert accuracy(heedless, NEW) > 0.9
    assert accuracy(heedless, OLD) < accuracy(champion.model, OLD) - 0.2


@pytest.mark.parametrize(
    "continual",
    [
        {"distillation": {"weight": 1.0}},
        {"distillation": {"weight": 0.0}, "anchor": {"importance": "fisher", "weight": 300.0}},
        {"distillation": {"weight": 0.0}, "anchor": {"importance": "same", "weight": 0.01}},
    ],
    ids=["distillation", "ewc", "l2sp"],
)
def test_rehearsal_and_a_regulariser_keep_it(
    champion: Champion, heedless: VideoModel, continual: dict[str, object]
) -> None:
    model = trained_on(champion, num_rehearsed=4, **continual)
    assert accuracy(model, NEW) > 0.8
    assert accuracy(model, OLD) > accuracy(heedless, OLD) + 0.15
