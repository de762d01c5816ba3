"""One training step of ours against a plain loop over pytorchvideo: ``python -m bench.train_step x3d/s``.

Plain is what a user would write: pytorchvideo's builder, fp32, uint8 clips in memory that PyTorch's DataLoader crops,
resizes and normalises on the CPU, an optimiser as it comes. Ours reads JPEG from shards, augments on the device, and
trains with the step that training uses. Both see clips of the same size in batches of the same size.

Waiting is the share of time in which the device has no batch to work on. Utilisation counts three forward passes'
operations a step against a matrix product measured on the spot in bf16.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import simplejpeg
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

import models.backbones.builders  # noqa: F401 - has pytorchvideo do without torchvision
from bench.machine import describe
from models.build import VideoModel, build_model
from models.clips.loader import ClipLoader
from models.clips.sampling import ClipInput, frame_indices
from models.clips.shards import StoredClip, write_shard
from models.memory import keep_freed_memory
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.target import Target
from models.optimise import make_optimizer
from models.parts import WHOLE
from models.spec import AugmentParams, FineTuneParams, HeadParams, ModelParams
from models.step import Step

_NUM_CLASSES = 400
_NUM_STORED = 64
_STORED_FPS = 30
_WARM_UP = 6
_SLOW_FAST_ALPHA = 4


def main() -> None:
    """Measure the loops that are asked for, one after the other, and print a line for each."""
    arguments = _arguments()
    device = torch.device(arguments.device)
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    gpu = f", {torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}" if device.type == "cuda" else ""
    print(describe("torch", "numpy") + gpu, flush=True)
    rate = _matrix_rate(device) if device.type == "cuda" else float("nan")
    if device.type == "cuda":
        print(f"bf16 matrix product: {rate / 1e12:.0f} TFLOP/s", flush=True)
    for model in arguments.models:
        family, _, flavour = model.partition("/")
        params = ModelParams(family=family, flavour=flavour, head=HeadParams(name="linear", dropout=0.5))
        with tempfile.TemporaryDirectory() as folder:
            _measure_model(params, Path(folder), arguments, device, rate)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="FAMILY/FLAVOUR")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="clips a step (8)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="measured steps of each loop (20)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of an operator on the CPU (1)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="of either loader (1)")
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "sgd"])
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16", "fp16"], help="of ours (bf16)")
    parser.add_argument(
        "--loops", nargs="+", default=["plain", "ours"], metavar="NAME",
        help="of plain, plain-0 (without workers), plain-bf16, ours, ours-contiguous, ours-compiled",
    )  # fmt: skip
    return parser.parse_args()


def _measure_model(
    params: ModelParams, folder: Path, arguments: argparse.Namespace, device: torch.device, rate: float
) -> None:
    model = build_model(params, _NUM_CLASSES, seed=0)
    clips = _write_clips(folder, model.clip_input)
    operations = 3 * _operations(model, device) * arguments.batch_size
    print(f"{params.family}/{params.flavour}, batches of {arguments.batch_size}, {arguments.optimizer}, "
          f"{operations / 1e12 / arguments.batch_size:.3f} TFLOP a clip and step", flush=True)  # fmt: skip
    print(f"{'':18}{'ms/step':>9}{'clips/s':>9}{'waiting':>9}{'util.':>8}{'GiB':>7}", flush=True)
    for loop in arguments.loops:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        make = _plain if loop.startswith("plain") else _ours
        batches, train = make(loop, params, clips, arguments, device)
        step_ms, clips_per_s, waiting = _timed(batches, train, arguments.batch_size, arguments.steps, device)
        peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
        used = operations / (step_ms / 1e3) / rate
        print(f"{loop:18}{step_ms:9.1f}{clips_per_s:9.1f}{waiting:9.1%}{used:8.1%}{peak:7.2f}", flush=True)


@dataclass(frozen=True)
class _Clips:
    data: Path
    table: pd.DataFrame
    clip_NTHWC: Tensor
    input: ClipInput


def _write_clips(folder: Path, clip_input: ClipInput) -> _Clips:
    """Clips an eighth larger than the model's input: as shards, and decoded in memory."""
    side = round(clip_input.size * 8 / 7)
    height, width = side, round(side * 4 / 3)
    num_frames = round((clip_input.span_s or 2.0) * 1.25 * _STORED_FPS) + 2
    times_s = [number / _STORED_FPS for number in range(num_frames)]
    (folder / "shards").mkdir()
    rng = np.random.default_rng(0)
    stored, decoded = [], []
    for number in range(_NUM_STORED):
        coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 12, 16))).float()
        scene = F.interpolate(coarse, (height, width + num_frames), mode="bicubic")[0].permute(1, 2, 0).numpy()
        scene = (scene + rng.normal(0, 6, scene.shape)).clip(0, 255).astype(np.uint8)
        frames = [np.ascontiguousarray(scene[:, shift : shift + width]) for shift in range(num_frames)]
        jpegs = [simplejpeg.encode_jpeg(frame, quality=90) for frame in frames]
        stored.append(StoredClip(str(number), width, height, times_s, jpegs))
        decoded.append(np.stack([frames[index] for index in frame_indices(np.array(times_s), clip_input)]))
    places = write_shard(folder / "shards", stored)
    table = pd.DataFrame([("a", *place) for place in places], columns=["label", "shard", "row"])
    return _Clips(folder, table, torch.from_numpy(np.stack(decoded)), clip_input)


def _ours(
    loop: str, params: ModelParams, clips: _Clips, arguments: argparse.Namespace, device: torch.device
) -> tuple[Iterator[Any], Callable[[Any], None]]:
    job = FineTuneParams(
        batch_size=arguments.batch_size,
        optimizer=arguments.optimizer,
        precision=arguments.precision,
        channels_last=False if loop.endswith("contiguous") else "auto",
        compile=loop.endswith("compiled"),
        freeze_batch_norm=False,
    )
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    num_epochs = 2 + (arguments.steps + _WARM_UP) * arguments.batch_size // _NUM_STORED
    table = clips.table.loc[clips.table.index.repeat(num_epochs)]
    loader = ClipLoader(
        clips.data, table, ["a"], clips.input, arguments.batch_size, augment=AugmentParams(), shuffle=True,
        num_workers=arguments.workers, device=device,
    )  # fmt: skip
    model = build_model(params, _NUM_CLASSES, seed=0).to(device)
    model.train()
    step = Step(model, make_optimizer(model, job), CrossEntropy(job.label_smoothing).on(WHOLE), job)

    def train(batch: Any) -> None:
        step(batch.clip_BCTHW, Target(batch.label_B))

    return loader.epoch(0), train


class _PlainDataset(Dataset[tuple[Tensor, int]]):
    """Random resized crop, mirror and normalisation of one clip, on the CPU."""

    def __init__(self, clips: _Clips, length: int) -> None:
        self._clips = clips
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        clip_input = self._clips.input
        clip_THWC = self._clips.clip_NTHWC[index % _NUM_STORED]
        height, width = clip_THWC.shape[1:3]
        share = float(torch.empty(1).uniform_(0.6, 1.0).sqrt())
        tall, wide = int(height * share), int(width * share)
        top, left = int(torch.randint(height - tall + 1, ())), int(torch.randint(width - wide + 1, ()))
        crop_TCHW = clip_THWC[:, top : top + tall, left : left + wide].permute(0, 3, 1, 2).float() / 255
        clip_CTSS = F.interpolate(crop_TCHW, (clip_input.size,) * 2, mode="bilinear").transpose(0, 1)
        if torch.rand(()) < 0.5:
            clip_CTSS = clip_CTSS.flip(-1)
        mean, std = (torch.tensor(each)[:, None, None, None] for each in (clip_input.mean, clip_input.std))
        return (clip_CTSS - mean) / std, 0


def _plain(
    loop: str, params: ModelParams, clips: _Clips, arguments: argparse.Namespace, device: torch.device
) -> tuple[Iterator[Any], Callable[[Any], None]]:
    torch.backends.cudnn.benchmark = False
    workers = 0 if loop == "plain-0" or device.type == "cpu" else arguments.workers
    dataset = _PlainDataset(clips, (arguments.steps + _WARM_UP + 1) * arguments.batch_size)
    loader = DataLoader(
        dataset, arguments.batch_size, num_workers=workers, pin_memory=device.type == "cuda", drop_last=True
    )
    model = _plain_model(params).to(device).train()
    optimizer = (
        torch.optim.AdamW(model.parameters(), lr=1e-4)
        if arguments.optimizer == "adamw"
        else torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    )
    half = torch.autocast(device.type, torch.bfloat16) if loop == "plain-bf16" else nullcontext()
    takes_pathways = params.family == "slowfast" and not isinstance(model, _Classifier)

    def sent() -> Iterator[tuple[Any, Tensor]]:
        for clip_BCTHW, label_B in loader:
            there_BCTHW = clip_BCTHW.to(device, non_blocking=True)
            inputs = [there_BCTHW[:, :, ::_SLOW_FAST_ALPHA], there_BCTHW] if takes_pathways else there_BCTHW
            yield inputs, label_B.to(device, non_blocking=True)

    def train(batch: tuple[Any, Tensor]) -> None:
        inputs, label_B = batch
        optimizer.zero_grad()
        with half:
            loss = F.cross_entropy(model(inputs), label_B)
        loss.backward()
        optimizer.step()

    return sent(), train


def _plain_model(params: ModelParams) -> nn.Module:
    from pytorchvideo.models import hub

    builders = {
        ("x3d", "s"): lambda: hub.x3d_s(model_num_class=_NUM_CLASSES),
        ("x3d", "m"): lambda: hub.x3d_m(model_num_class=_NUM_CLASSES),
        ("i3d", "8x8"): lambda: hub.i3d_r50(model_num_class=_NUM_CLASSES),
        ("slowfast", "r50-8x8"): lambda: hub.slowfast_r50(model_num_class=_NUM_CLASSES),
        ("mvit", "16x4"): lambda: hub.mvit_base_16x4(head_num_classes=_NUM_CLASSES),
    }
    build = builders.get((params.family, params.flavour))
    # Sizes that pytorchvideo has no name for: the same network as ours, and a plain loop all the same.
    return build() if build else _Classifier(params)


class _Classifier(nn.Module):
    def __init__(self, params: ModelParams) -> None:
        super().__init__()
        self.model: VideoModel = build_model(params, _NUM_CLASSES, seed=0)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        logits_BK: Tensor = self.model(clip_BCTHW)
        return logits_BK


def _timed(
    batches: Iterator[Any], train: Callable[[Any], None], batch_size: int, num_steps: int, device: torch.device
) -> tuple[float, float, float]:
    """Median milliseconds a step, clips a second, share of time without a batch."""
    now = _GpuClock if device.type == "cuda" else _CpuClock
    starts, ends = [], []
    for number, batch in enumerate(batches):
        starts.append(now())
        train(batch)
        ends.append(now())
        if number + 1 == _WARM_UP and device.type == "cuda":
            torch.cuda.synchronize()
        if number + 1 == _WARM_UP + num_steps:
            break
    if device.type == "cuda":
        torch.cuda.synchronize()
    # The first measured step follows a wait for the device: it starts the clock and does not count.
    starts, ends = starts[_WARM_UP:], ends[_WARM_UP:]
    between_ms = [first.until(second) for first, second in pairwise(starts)]
    waited_ms = [end.until(start) for end, start in zip(ends, starts[1:], strict=False)]
    total_ms = starts[0].until(starts[-1])
    clips_per_s = batch_size * (len(starts) - 1) / total_ms * 1e3
    return statistics.median(between_ms), clips_per_s, sum(waited_ms) / total_ms


class _CpuClock:
    def __init__(self) -> None:
        self._time_s = time.perf_counter()

    def until(self, later: "_CpuClock") -> float:
        return (later._time_s - self._time_s) * 1e3


class _GpuClock:
    """When the device came to this point of its queue."""

    def __init__(self) -> None:
        self._event = torch.cuda.Event(enable_timing=True)
        self._event.record()

    def until(self, later: "_GpuClock") -> float:
        return float(self._event.elapsed_time(later._event))


def _operations(model: VideoModel, device: torch.device) -> int:
    """Floating-point operations of a forward pass over one clip."""
    clip_input = model.clip_input
    clip_BCTHW = torch.zeros(1, 3, clip_input.num_frames, clip_input.size, clip_input.size, device=device)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.to(device).eval()(clip_BCTHW)
    return int(counter.get_total_flops())


def _matrix_rate(device: torch.device, size: int = 8192, repeats: int = 20) -> float:
    """Operations a second of a bf16 matrix product on random numbers."""
    first, second = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        first @ second
    start = _GpuClock()
    for _ in range(repeats):
        first @ second
    end = _GpuClock()
    torch.cuda.synchronize()
    return 2 * size**3 * repeats / (start.until(end) / 1e3)


if __name__ == "__main__":
    main()
