"""Our depthwise 3D convolutions beside cuDNN's, forward and backward: ``python -m bench.depthwise`` (needs a GPU).

Every shape of X3D-S, and some of CSN's, in bf16. cuDNN is timed for both layouts and its better one counts. Errors are
those of the output and of both gradients against fp32, relative to their length.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.machine import describe
from models.depthwise.op import depthwise_conv3d

Convolve = Callable[[Tensor, Tensor], Tensor]

_SHAPES = {  # name: channels, (frames, height, width), kernel, stride
    "X3D-S, stem": (24, (13, 80, 80), (5, 1, 1), (1, 1, 1)),
    "X3D-S, stage 2, first": (54, (13, 80, 80), (3, 3, 3), (1, 2, 2)),
    "X3D-S, stage 2": (54, (13, 40, 40), (3, 3, 3), (1, 1, 1)),
    "X3D-S, stage 3": (108, (13, 20, 20), (3, 3, 3), (1, 1, 1)),
    "X3D-S, stage 4": (216, (13, 10, 10), (3, 3, 3), (1, 1, 1)),
    "X3D-S, stage 5": (432, (13, 5, 5), (3, 3, 3), (1, 1, 1)),
    "CSN, stage 2": (64, (32, 56, 56), (3, 3, 3), (1, 1, 1)),
    "CSN, stage 3, first": (128, (32, 56, 56), (3, 3, 3), (2, 2, 2)),
}
_REPEATS = 10


def main() -> None:
    """Check and time each shape, print a line each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--batch-size", type=int, default=32, metavar="N", help="clips (32)")
    batch_size = arguments.parse_args().batch_size
    torch.backends.cudnn.benchmark = True
    print(describe("torch"), torch.cuda.get_device_name(), f"cuDNN {torch.backends.cudnn.version()}", flush=True)
    print(f"{'':24}{'cuDNN ms':>10}{'ours ms':>10}{'times':>7}{'GB/s':>7}   error: output, input's, weights' gradient")
    for name, (channels, size, kernel, stride) in _SHAPES.items():
        padding = tuple(length // 2 for length in kernel)
        maps = torch.randn(batch_size, channels, *size, device="cuda", dtype=torch.bfloat16)
        weight = torch.randn(channels, 1, *kernel, device="cuda") / 5

        cudnn, ours = partial(_cudnn, stride=stride, padding=padding), partial(_ours, stride=stride, padding=padding)
        last = maps.contiguous(memory_format=torch.channels_last_3d)
        theirs_ms = min(_milliseconds(cudnn, each, weight) for each in (maps, last))
        ours_ms = _milliseconds(ours, last, weight)
        errors = _errors(ours, cudnn, last[:4], weight)
        moved = (3 * maps.numel() + 3 * maps.numel() // (stride[0] * stride[1] * stride[2])) * 2
        line = f"{name:24}{theirs_ms:10.2f}{ours_ms:10.2f}{theirs_ms / ours_ms:7.1f}{moved / ours_ms / 1e6:7.0f}   "
        print(line + ", ".join(f"{error:.1e}" for error in errors), flush=True)


def _cudnn(maps: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    return F.conv3d(maps, weight.to(maps.dtype), None, stride, padding, groups=len(weight))


def _ours(maps: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    return depthwise_conv3d(maps, weight, stride, padding)


def _milliseconds(convolve: Convolve, maps: Tensor, weight: Tensor) -> float:
    maps, weight = maps.detach().requires_grad_(), weight.detach().requires_grad_()
    gradient = torch.randn_like(convolve(maps, weight))
    times = []
    for _ in range(_REPEATS + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.autograd.grad(convolve(maps, weight), (maps, weight), gradient)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times[3:])[_REPEATS // 2]


def _errors(ours: Convolve, cudnn: Convolve, maps: Tensor, weight: Tensor) -> list[float]:
    made = _made(ours, maps, weight)
    right = _made(cudnn, maps.float(), weight)
    return [float((one.float() - other).norm() / other.norm()) for one, other in zip(made, right, strict=True)]


def _made(convolve: Convolve, maps: Tensor, weight: Tensor) -> list[Tensor]:
    """Output and gradients, of a gradient that is the same for all."""
    maps, weight = maps.detach().requires_grad_(), weight.detach().requires_grad_()
    output = convolve(maps, weight)
    generator = torch.Generator("cuda").manual_seed(0)
    gradient = torch.randn(output.shape, generator=generator, device="cuda").to(torch.bfloat16).to(output)
    return [output.detach(), *torch.autograd.grad(output, (maps, weight), gradient)]


if __name__ == "__main__":
    main()
