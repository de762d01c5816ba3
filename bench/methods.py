"""What each way of fine-tuning reaches on cameras that it never saw: ``python -m bench.methods --out methods.jsonl``.

Every row is trained on the dataset's training cameras, its rate chosen on those for validation, and measured on those
for the test: accuracy with an interval over cameras, the same with each clip's frames in random order, how many
parameters trained, how large a file of these alone is, how long it took. Rows that the file has already are not made
again, and a row that was cut off goes on where it was.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.machine import describe
from bench.shuffled import Shuffled
from models.adapters.delta import base_digest, save_delta
from models.adapters.method import attach
from models.adapters.sites import BLOCKS
from models.build import VideoModel, build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.errors import UserError
from models.inference import Loader
from models.loop import fit
from models.predict import predict
from models.spec import FineTuneParams, HeadParams, ModelParams
from tasks.statistics.bootstrap import source_bootstrap

# What is new or small beside frozen weights learns at the head's rate; LoRA's paper has ten times that of full tuning.
_AT_HEADS_RATE = {"backbone_lr_scale": 1.0}
_TRAINED: dict[str, dict[str, Any]] = {
    "head": {"method": "head"},
    "last stage": {"method": "stages", "stages": {"last": 1}},
    "last three stages": {"method": "stages", "stages": {"last": 3}},
    "norm and bias": {"method": "norm", **_AT_HEADS_RATE},
    "LoRA": {"method": "lora", "lora": {"rank": 8}, **_AT_HEADS_RATE},
    "LoRA, rank 4": {"method": "lora", "lora": {"rank": 4}, **_AT_HEADS_RATE},
    "ST-Adapter": {"method": "adapter", "adapter": {"kind": "st"}, **_AT_HEADS_RATE},
    "AIM": {"method": "adapter", "adapter": {"kind": "aim"}, **_AT_HEADS_RATE},
    "full": {"method": "full"},
    "full, layer decay": {"method": "full", "layer_decay": 0.8},
    "full, unfreezing": {"method": "full", "unfreeze": 1},
    "full, L2-SP": {"method": "full", "l2_sp": 0.01, "weight_decay": 0.0},
}
_METHODS = ["majority", "linear probe", *_TRAINED]
_FROM_SCRATCH = ["full"]
"""Rows that are made without weights too: nothing else is worth training on a random backbone."""


def main() -> None:
    """Train what is missing, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER", help="the dataset (data)")
    arguments.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="rows, as JSON lines; it is added to"
    )
    arguments.add_argument("--family", default="efficientnet_lite0", metavar="NAME", help="(efficientnet_lite0)")
    arguments.add_argument("--flavour", default="8x112", metavar="NAME", help="(8x112)")
    arguments.add_argument("--weights", default="imagenet", metavar="NAME", help="as in params.yaml (imagenet)")
    arguments.add_argument("--hidden", type=int, default=64, metavar="N", help="width of the temporal head (64)")
    arguments.add_argument("--method", nargs="+", default=_METHODS, choices=_METHODS, metavar="NAME", help="which rows")
    arguments.add_argument(
        "--lr", nargs="+", type=float, default=[1e-3, 3e-3], metavar="X", help="rates to choose from"
    )
    arguments.add_argument("--epochs", type=int, default=10, metavar="N", help="of the method (10)")
    arguments.add_argument("--head-epochs", type=int, default=20, metavar="N", help="of the head before that (20)")
    arguments.add_argument("--batch-size", type=int, default=16, metavar="N", help="(16)")
    arguments.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="(fp32)")
    arguments.add_argument("--seeds", type=int, default=1, metavar="N", help="how often each row is made (1)")
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", metavar="NAME")
    options = arguments.parse_args()
    print(describe("torch"), f"on {options.device}", flush=True)
    bench = _Bench(options)
    for row in bench.missing():
        started_s = time.perf_counter()
        print(f"{row} ...", flush=True)
        found = bench.made(row)
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row) | found) + "\n")
        print(f"  accuracy {found['accuracy']:.3f}, {time.perf_counter() - started_s:.0f} s in all", flush=True)
    _print(_read(options.out))


@dataclass(frozen=True)
class _Row:
    """What a line of the file is about."""

    family: str
    flavour: str
    weights: str
    hidden: int
    method: str
    seed: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.family} {self.flavour}, {self.weights}: {self.method}, seed {self.seed}"


class _Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._device = torch.device(options.device)
        manifest = read_manifest(options.data / "manifest.parquet")
        clips = manifest[manifest["label"].notna()].sort_values("clip_id", ignore_index=True)
        self._clips = {name: clips[clips["split"] == name] for name in ("train", "val", "test")}
        self._labels = sorted(set(self._clips["train"]["label"]))
        for name, others in (("val", "train"), ("test", "train"), ("test", "val")):
            if both := set(self._clips[name]["source_id"]) & set(self._clips[others]["source_id"]):
                raise UserError(f"{options.data}: camera {min(both)} is in {others} and in {name}; split by source")

    def missing(self) -> Iterator[_Row]:
        """Rows that the file has not."""
        options = self._options
        there = [{key: line.get(key) for key in _Row.__dataclass_fields__} for line in _read(options.out)]
        fits_aim = options.family in BLOCKS
        for seed in range(options.seeds):
            for weights in dict.fromkeys([options.weights, "none"]):
                for method in options.method:
                    row = _Row(options.family, options.flavour, weights, options.hidden, method, seed, options.epochs)
                    is_wanted = weights == options.weights or method in _FROM_SCRATCH
                    if is_wanted and (method != "AIM" or fits_aim) and asdict(row) not in there:
                        yield row

    def made(self, row: _Row) -> dict[str, Any]:
        """What comes of a row."""
        if row.method == "majority":
            label_N = self._clips["test"]["label"].to_numpy()
            return self._measured(label_N == self._clips["train"]["label"].value_counts().idxmax())
        best = min((self._trained(row, lr) for lr in self._options.lr), key=lambda run: run["val_loss"])
        return best | {"rates_tried": self._options.lr}

    def _trained(self, row: _Row, lr: float) -> dict[str, Any]:
        options, is_linear = self._options, row.method == "linear probe"
        head = HeadParams(name="linear") if is_linear else HeadParams(name="temporal", hidden=row.hidden)
        params = ModelParams(family=row.family, flavour=row.flavour, weights=row.weights, head=head)
        job = FineTuneParams.model_validate(
            {
                "epochs": options.head_epochs if row.method in ("linear probe", "head") else options.epochs,
                "head_epochs": options.head_epochs, "batch_size": options.batch_size, "lr": lr,
                "precision": options.precision, "warmup_epochs": 0.5, "weight_decay": 0.02, "num_threads": 2,
                **_TRAINED.get(row.method, {"method": "head"}),
            }
        )  # fmt: skip
        facts = (row.family, row.flavour, row.weights, row.hidden, row.method, row.epochs, row.seed, f"{lr:g}")
        key = "-".join(map(str, facts)).replace("/", "_")
        folder = options.out.with_suffix("") / key
        model = build_model(params, len(self._labels), seed=row.seed).to(self._device)
        base = base_digest(model)
        attached = attach(model, job, seed=row.seed)
        epochs = fit(
            model,
            self._loader("train", model, job, seed=row.seed, augment=job.augment, shuffle=True),
            self._loader("val", model, job),
            job,
            seed=row.seed,
            checkpoint=folder,
            feature_cache=options.out.with_suffix("") / f"features-{row.family}-{row.flavour}-{base}-{row.seed}",
            on_epoch=lambda epoch: print(f"  {lr:g}: {epoch.phase} {epoch.epoch}, {epoch.val_loss:.3f}", flush=True),
        )
        save_delta(folder / "delta.safetensors", attached, job, base)
        attached.merge()
        test = self._loader("test", model, job)
        assert model.trained is not None
        return {
            **self._measured(self._right(model, test)),
            "shuffled": float(self._right(model, Shuffled(test, row.seed)).mean()),
            "lr": lr,
            "val_loss": min(epoch.val_loss for epoch in epochs),
            "trained": model.trained.num_trained,
            "parameters": model.trained.num_parameters,
            "megabytes": (folder / "delta.safetensors").stat().st_size / 1e6,
            "seconds": sum(epoch.seconds for epoch in epochs),
            "job": job.model_dump(mode="json"),
        }

    def _loader(self, split: str, model: VideoModel, job: FineTuneParams, **options: Any) -> ClipLoader:
        workers = min(os.cpu_count() or 1, 8)
        return ClipLoader(
            self._options.data, self._clips[split], self._labels, model.clip_input, job.batch_size,
            num_workers=workers, device=self._device, **options,
        )  # fmt: skip

    def _right(self, model: VideoModel, loader: Loader) -> NDArray[np.bool_]:
        predicted_N = np.array(self._labels, dtype=object)[predict(model.eval(), loader).argmax(1)]
        right_N: NDArray[np.bool_] = predicted_N == self._clips["test"]["label"].to_numpy()
        return right_N

    def _measured(self, right_N: NDArray[np.bool_]) -> dict[str, Any]:
        source_N = self._clips["test"]["source_id"].to_numpy()
        interval = source_bootstrap(right_N, source_N, resamples=2000, confidence=0.95, seed=0)
        return {"accuracy": interval.estimate, "low": interval.low, "high": interval.high, "clips": len(right_N)}


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _print(rows: list[dict[str, Any]]) -> None:
    table = pd.DataFrame(rows)
    print(f"\n{'':52}{'accuracy (95% over cameras)':>30}{'shuffled':>10}{'trained':>12}{'of all':>8}{'MB':>8}{'s':>7}")
    for (family, flavour, weights, method), runs in table.groupby(
        ["family", "flavour", "weights", "method"], sort=False
    ):
        mean = runs.mean(numeric_only=True)
        interval = f"{mean['accuracy']:.3f} ({mean['low']:.3f} to {mean['high']:.3f})"
        line = f"{f'{family} {flavour} {weights}: {method}':52}{interval:>30}"
        if method != "majority":
            share = mean["trained"] / mean["parameters"]
            line += f"{mean['shuffled']:10.3f}{mean['trained']:12,.0f}{share:8.1%}{mean['megabytes']:8.2f}"
            line += f"{mean['seconds']:7.0f}"
        print(line)


if __name__ == "__main__":
    main()
