"""What each flavour costs, beside what its publisher says: ``python -m bench.zoo [--family x3d] [--step]``.

Parameters and multiply-adds (in convolutions and products of matrices) are of a clip as the flavour takes it, with a
linear classifier of 400 classes. Published figures may be of larger frames: `ours` is the same count of ours on those.
`--step` measures forward and backward of two clips on this machine's CPU as well, which takes gigabytes and minutes.
"""

import argparse
import statistics
import time
from typing import Any

import torch

from bench.machine import describe
from models.backbones.family import Family, family_names, load_family
from models.backbones.figures import FIGURES
from models.cost import cost_of

_NUM_CLASSES = 400
_BATCH_SIZE = 2
_STEPS = 3


def main() -> None:
    """Print a line for each flavour."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--family", choices=family_names(), action="append", help="default: all")
    arguments.add_argument("--step", action="store_true", help="also the time of a training step on the CPU")
    options = arguments.parse_args()
    print(describe("torch"))
    print(
        f"{'family':20}{'flavour':14}{'input':>12}{'params M':>10}{'G madds':>9}"
        f"{'published M':>13}{'ours':>8}{'published G':>13}{'ours':>8}{'  at':>6}" + f"{'step s':>9}" * options.step
    )
    for name in options.family or family_names():
        family = load_family(name)
        if not family.is_installed:
            print(f"{name:20}needs the package {family.package}")
            continue
        for flavour in family.flavours:
            print(_line(name, family, flavour, with_step=options.step), flush=True)


def _line(name: str, family: Family, flavour: str, *, with_step: bool) -> str:
    built = family.flavours[flavour]
    clip_input = built.clip_input
    cost = cost_of(family, built, _NUM_CLASSES)
    shown = f"{clip_input.num_frames}x{clip_input.size}"
    line = f"{name:20}{flavour:14}{shown:>12}{cost.num_parameters / 1e6:10.2f}{cost.multiply_adds / 1e9:9.2f}"
    figure = FIGURES.get((name, flavour))
    if figure:
        ours = cost_of(family, built, figure.num_classes, size=figure.size)
        line += f"{figure.parameters_m:13.2f}" if figure.parameters_m else f"{'-':>13}"
        line += f"{ours.num_parameters / 1e6:8.2f}"
        line += f"{figure.multiply_adds_g:13.2f}{ours.multiply_adds / 1e9:8.2f}{figure.size:6}"
    else:
        line += f"{'-':>13}{'':8}{'-':>13}{'':14}"
    return line + (f"{_step_s(family, built):9.2f}" if with_step else "")


def _step_s(family: Family, flavour: Any) -> float:
    """Median time of forward and backward, in seconds."""
    backbone = family.build(flavour).train()
    clip_input = flavour.clip_input
    clip_BCTHW = torch.randn(_BATCH_SIZE, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    times_s = []
    for _ in range(_STEPS):
        start_s = time.perf_counter()
        torch.autograd.backward(backbone(clip_BCTHW).mean())
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


if __name__ == "__main__":
    main()
