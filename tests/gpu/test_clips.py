"""Clips that are changed on the GPU for training: the same as on the CPU, and a job on all of it from shards."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.adversarial import PixelBound, attack
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.clips.mixing import Mix
from models.clips.rand_augment import OPERATIONS, RandAugment
from models.clips.sampling import ClipInput
from models.loop import fit
from models.objectives.target import Target
from models.spec import AugmentParams, FineTuneParams, RandAugmentParams
from tests.support.dataset import write_dataset
from tests.support.gpu import DEVICE, NEEDS_GPU, debug_model
from tests.support.toy import toy_clips

pytestmark = [*NEEDS_GPU, pytest.mark.usefixtures("exact")]

INPUT = ClipInput(num_frames=3, span_s=None, size=24, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_every_operation_of_rand_augment_is_that_of_the_cpu(number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    clip_BCTHW = (torch.rand(2, 3, 3, 24, 24, generator=generator) - 0.5) / 0.25
    augment = RandAugment(INPUT, RandAugmentParams(layers=1, magnitude=6.0))
    operation_BL, sign_BL = torch.full((2, 1), number), torch.tensor([[-1.0], [1.0]])
    here = augment(clip_BCTHW.clone(), operation_BL, sign_BL)
    there = augment(clip_BCTHW.to(DEVICE), operation_BL, sign_BL).cpu()
    # A value at a threshold may fall to the other side of it in the last bit of a sum.
    assert ((here - there).abs() > 1e-3).float().mean() < 1e-3


@pytest.mark.parametrize("params", [AugmentParams(mixup=0.8), AugmentParams(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_mixing_is_that_of_the_cpu(params: AugmentParams) -> None:
    clip_BCTHW, label_B = torch.randn(6, 3, 4, 20, 30), torch.arange(6) % 4
    mix = Mix(params, 4)
    here, target = mix(clip_BCTHW, label_B, np.random.default_rng(0))
    there, their_target = mix(clip_BCTHW.to(DEVICE), label_B.to(DEVICE), np.random.default_rng(0))
    torch.testing.assert_close(there.cpu(), here)
    torch.testing.assert_close(their_target.dense(4).cpu(), target.dense(4))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pgd_stays_within_its_bound_and_raises_the_loss(precision: str) -> None:
    model = debug_model("x3d").eval()
    clip_BCTHW, label_B = (each.to(DEVICE) for each in toy_clips(model.clip_input, 6, seed=1))
    bound = PixelBound(model.clip_input, 4.0)
    rng = np.random.default_rng(0)
    attacked = attack(model, clip_BCTHW, Target(label_B), bound, steps=5, rng=rng, precision=precision)
    std = torch.tensor(model.clip_input.std, device=DEVICE).view(3, 1, 1, 1)
    assert ((attacked - clip_BCTHW) * std * 255.0).abs().max() < 4.0 + 1e-2
    with torch.no_grad():
        assert F.cross_entropy(model(attacked), label_B) > F.cross_entropy(model(clip_BCTHW), label_B)


def test_a_job_with_everything_on_learns_from_shards(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    clips, labels = read_manifest(data / "manifest.parquet"), ["left", "right"]
    model = debug_model("efficientnet_lite0")
    augment = {"rand_augment": {"layers": 2, "magnitude": 3.0}, "mixup": 0.2, "cutmix": 0.2, "flip": 0.0}
    params = FineTuneParams.model_validate({
        "epochs": 4, "batch_size": 8, "lr": 0.01, "precision": "bf16", "clip_norm": 1.0, "ema": 0.5, "accumulate": 2,
        "augment": augment, "adversarial": {"method": "pgd", "epsilon": 2.0, "steps": 2}, "num_threads": 1,
        "progressive": [{"until": 0.5, "size": 24}], "early_stopping_patience": 0,
    })  # fmt: skip
    train, val = (
        ClipLoader(data, clips[clips["split"] == split], labels, model.clip_input, 8, device=DEVICE, **options)
        for split, options in (("train", {"augment": params.augment, "shuffle": True}), ("val", {}))
    )
    epochs = fit(model, train, val, params, seed=0)
    assert len(epochs) == 4
    assert min(epoch.val_loss for epoch in epochs[1:]) < epochs[0].val_loss
