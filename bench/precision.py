"""What bf16 and fp16 do to gradients and to learning, against fp32: ``python -m bench.precision x3d/s``.

Some releases of cuDNN compute 3D convolutions in bf16 wrongly (pytorch#163539), so each model is looked at: the
gradient of one batch against the same in fp32 (without TF32), and the loss of a short job with something to learn.
"""

import argparse

import torch
from torch import Tensor, nn

from bench.machine import describe
from models.build import build_model
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.target import Target
from models.optimise import make_optimizer
from models.parts import WHOLE
from models.spec import FineTuneParams, HeadParams, ModelParams
from models.step import Step

_NUM_CLASSES = 4
_EVERY = 5


def main() -> None:
    """Print a line for each model and precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="FAMILY/FLAVOUR")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="of the short job (30)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precisions", nargs="+", default=["bf16"])
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(arguments.device)
    cudnn = f", cuDNN {torch.backends.cudnn.version()}" if device.type == "cuda" else ""
    print(describe("torch") + cudnn)
    for model in arguments.models:
        family, _, flavour = model.partition("/")
        params = ModelParams(family=family, flavour=flavour, head=HeadParams(name="linear", dropout=0.0))
        exact, exact_losses = _trained(params, "fp32", arguments, device)
        print(f"{model} fp32: loss {_shown(exact_losses)}", flush=True)
        for precision in arguments.precisions:
            gradients, losses = _trained(params, precision, arguments, device)
            whole = _relative(torch.cat([each.flatten() for each in gradients.values()]),
                              torch.cat([each.flatten() for each in exact.values()]))  # fmt: skip
            worst = max(exact, key=lambda name: float(_relative(gradients[name], exact[name])))
            print(f"{model} {precision}: gradient off by {whole:.3f} of its length, most in {worst} "
                  f"({_relative(gradients[worst], exact[worst]):.2f}); loss {_shown(losses)}", flush=True)  # fmt: skip


def _trained(
    params: ModelParams, precision: str, arguments: argparse.Namespace, device: torch.device
) -> tuple[dict[str, Tensor], list[float]]:
    """Gradients of the first batch, and the losses of a job."""
    job = FineTuneParams.model_validate({"precision": precision, "lr": 1e-3, "backbone_lr_scale": 1.0})
    model = build_model(params, _NUM_CLASSES, seed=0).to(device)
    step = Step(model, make_optimizer(model, job), CrossEntropy(0.0).on(WHOLE), job)
    clip_input = model.clip_input
    generator = torch.Generator(device).manual_seed(0)
    shape = (3, clip_input.num_frames, clip_input.size, clip_input.size)
    pattern_KCTHW = torch.randn(_NUM_CLASSES, *shape, device=device, generator=generator)
    label_B = torch.arange(arguments.batch_size, device=device) % _NUM_CLASSES

    def batch() -> Tensor:
        noise = torch.randn(arguments.batch_size, *shape, device=device, generator=generator)
        return pattern_KCTHW[label_B] + noise

    first_BCTHW = batch()
    gradients = _gradients(model, step, first_BCTHW, label_B)
    model.train()
    losses = [float(step(batch(), Target(label_B)).loss) for _ in range(arguments.steps)]
    return gradients, losses


def _gradients(model: nn.Module, step: Step, clip_BCTHW: Tensor, label_B: Tensor) -> dict[str, Tensor]:
    model.train()
    state = step.state_dict()
    if state["scaler"]:  # which finds a scale by trying; the first is often too large
        step.load_state_dict({**state, "scaler": {**state["scaler"], "scale": 1.0}})
    step.gradients(clip_BCTHW, Target(label_B))
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def _relative(found: Tensor, exact: Tensor) -> Tensor:
    return (found - exact).norm() / exact.norm().clamp(min=1e-12)


def _shown(losses: list[float]) -> str:
    return " ".join(f"{loss:.3f}" for loss in [*losses[::_EVERY], losses[-1]])


if __name__ == "__main__":
    main()
