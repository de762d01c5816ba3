"""Steps on a GPU: half precision in every family, a scaled loss, and memory that really runs out."""

from collections.abc import Iterator

import pytest
import torch

from models.backbones.family import family_names, load_family
from models.objectives.target import Target
from models.spec import FineTuneParams
from tests.support.gpu import DEVICE, NEEDS_GPU, debug_model, fixed_batch, step_of

pytestmark = NEEDS_GPU

JOB = FineTuneParams(lr=0.003, backbone_lr_scale=0.3, weight_decay=0.0, num_threads=1)


def job(precision: str, **fields: object) -> FineTuneParams:
    return FineTuneParams.model_validate(JOB.model_dump() | {"precision": precision, **fields})


@pytest.mark.parametrize("family", [name for name in family_names() if load_family(name).is_installed])
def test_every_family_learns_in_bf16(family: str) -> None:
    model = debug_model(family).eval()  # batch normalisation as it is, which is how jobs train by default
    step, (clip_BCTHW, target) = step_of(model, job("bf16")), fixed_batch(model)
    losses = [float(step(clip_BCTHW, target).loss) for _ in range(25)]
    assert all(torch.isfinite(weights).all() for weights in model.parameters())
    assert losses[-1] < 0.8 * losses[0], losses


def test_fp16_finds_its_scale_and_leaves_out_the_steps_that_overflow() -> None:
    model = debug_model("x3d").train()
    step, (clip_BCTHW, target) = step_of(model, job("fp16")), fixed_batch(model)
    state = step.state_dict()
    step.load_state_dict({**state, "scaler": {**state["scaler"], "scale": 2.0**40}})
    before = [weights.clone() for weights in model.parameters()]
    first = float(step(clip_BCTHW, target).loss)
    assert all(torch.equal(weights, old) for weights, old in zip(model.parameters(), before, strict=True))
    assert step.state_dict()["scaler"]["scale"] == 2.0**39
    losses = [float(step(clip_BCTHW, target).loss) for _ in range(60)]
    assert step.state_dict()["scaler"]["scale"] < 2.0**39
    assert all(torch.isfinite(weights).all() for weights in model.parameters())
    assert losses[-1] < 0.8 * first


@pytest.fixture
def memory() -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weights.grad.flatten() for weights in model.parameters() if weights.grad is not None])


def test_memory_that_runs_out_halves_the_micro_batch_and_keeps_the_gradient(
    exact: None, memory: None, caplog: pytest.LogCaptureFixture
) -> None:
    model = debug_model("efficientnet_lite0").eval()
    shape = (512, 3, model.clip_input.num_frames, 64, 64)
    clip_BCTHW = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    target = Target(torch.arange(len(clip_BCTHW), device=DEVICE) % 3)
    step = step_of(model, job("fp32"))
    whole_loss = float(step.gradients(clip_BCTHW, target).loss)
    whole, held = gradient(model), torch.cuda.memory_allocated()
    needed = torch.cuda.max_memory_allocated() - held
    assert needed > 2**28  # enough for the limit to count, and not what the allocator rounds
    assert step.num_micro == 1

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 0.6 * needed) / total)
    loss = float(step.gradients(clip_BCTHW, target).loss)
    assert step.num_micro in (2, 4, 8)
    assert f"micro-batches of {512 // step.num_micro} clips" in caplog.text
    assert loss == pytest.approx(whole_loss, rel=1e-4)
    assert (gradient(model) - whole).norm() < 1e-3 * whole.norm()
