"""Whether every family sees time: ``python -m bench.order``.

A square moves left or right before a background of noise, which no single frame tells apart. Every family's smallest
flavour learns that from nothing, and answers for clips of a source that it never saw: as they are, and with the frames
of each clip in random order. A family that claims to see time loses then; chance is a half.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bench.machine import describe
from bench.shuffled import Shuffled
from models.backbones.family import family_names, load_family
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.inference import Loader
from models.predict import predict
from models.spec import AugmentParams, FineTuneParams, HeadParams, ModelParams
from tasks.job import job
from tests.support.dataset import write_dataset

_LABELS = ("left", "right")


def main() -> None:
    """Train each, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--family", nargs="+", default=family_names(), metavar="NAME", help="(all)")
    arguments.add_argument("--clips", type=int, default=60, metavar="N", help="of a class and source; three train (60)")
    arguments.add_argument("--epochs", type=int, default=20, metavar="N", help="(20)")
    arguments.add_argument("--lr", type=float, default=3e-3, metavar="X", help="(0.003)")
    options = arguments.parse_args()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    print(describe("torch"))
    print(f"{'':22}{'in order':>10}{'shuffled':>10}{'lost':>8}{'s':>7}", flush=True)
    fine_tune = FineTuneParams(
        method="full", epochs=options.epochs, lr=options.lr, backbone_lr_scale=1.0, freeze_batch_norm=False,
        early_stopping_patience=0, num_threads=1, augment=AugmentParams(flip=0.0, crop_scale=1.0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        data = write_dataset(Path(folder) / "data", _LABELS, options.clips)
        for family in options.family:
            if load_family(family).is_installed:
                _measure(family, data, fine_tune)


def _measure(family: str, data: Path, fine_tune: FineTuneParams) -> None:
    began = time.perf_counter()
    head = HeadParams(name="temporal", hidden=16)
    params = ModelParams(family=family, flavour="debug", weights="none", head=head)
    model, labels, _ = job(params, fine_tune, data, seed=0)
    clips = read_manifest(data / "manifest.parquet")
    clips = clips[clips["split"] == "test"].reset_index(drop=True)
    loader = ClipLoader(data, clips, labels, model.clip_input, 16)

    def accuracy(loader: Loader) -> float:
        predicted_N = np.array(labels, dtype=object)[predict(model.eval(), loader).argmax(1)]
        return float((predicted_N == clips["label"].to_numpy()).mean())

    right, shuffled = accuracy(loader), accuracy(Shuffled(loader, 0))
    lost = right - shuffled
    print(f"{family:22}{right:10.3f}{shuffled:10.3f}{lost:8.3f}{time.perf_counter() - began:7.0f}", flush=True)


if __name__ == "__main__":
    main()
