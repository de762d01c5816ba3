"""Ways of fine-tuning on a GPU: what is added says nothing at first, trains, and folds in without a difference."""

import copy

import pytest
import torch

from models.adapters.lora import has_lora
from models.adapters.method import attach
from models.adapters.sites import BLOCKS
from tests.support.gpu import NEEDS_GPU, debug_model, fixed_batch, step_of
from tests.support.methods import METHODS

pytestmark = [*NEEDS_GPU, pytest.mark.usefixtures("exact")]

FAMILIES = ("efficientnet_lite0", "x3d", "slowfast", "vit", "mvit")


@pytest.mark.parametrize(
    ("family", "method"),
    [(family, method) for family in FAMILIES for method in METHODS if method != "aim" or family in BLOCKS],
)
def test_it_begins_as_nothing_trains_what_it_says_and_folds_in(family: str, method: str) -> None:
    model = debug_model(family).eval()
    (clip_BCTHW, target), job = fixed_batch(model), METHODS[method]
    plain_BK = model(clip_BCTHW)
    attached = attach(model, job, seed=0)
    assert all(weights.is_cuda for weights in model.parameters())
    torch.testing.assert_close(model(clip_BCTHW), plain_BK, rtol=1e-4, atol=1e-5)

    before, step = copy.deepcopy(model.state_dict()), step_of(model, job)
    for _ in range(3):
        step(clip_BCTHW, target)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert changed <= attached.trained

    tuned_BK = model.eval()(clip_BCTHW)
    assert not torch.equal(tuned_BK, plain_BK)
    attached.merge()
    assert not has_lora(model.backbone)
    torch.testing.assert_close(model(clip_BCTHW), tuned_BK, rtol=1e-4, atol=1e-5)
