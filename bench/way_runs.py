"""Training and measuring what :mod:`bench.methods` compares.

Several processes may share one folder: a run and whatever others build upon (pretrained weights, a teacher, features of
a frozen backbone) is made by the first that wants it, and others wait for it.

Legend: N clips of the test, K classes.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench.shuffled import Shuffled
from bench.way_rows import FROM_NOTHING, MAJORITY, STUDENTS, Row, teacher_of
from models.adapters.delta import base_digest, save_delta
from models.adapters.method import attach
from models.build import VideoModel, build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.errors import DivergedError, UserError
from models.files import replacing
from models.inference import Loader
from models.loop import fit
from models.objectives.build import build_objective, near_start
from models.objectives.objective import Objective, Total
from models.objectives.teacher import taught
from models.predict import predict
from models.pretrain.build import build_pretext
from models.pretrain.loop import pretrain
from models.pretrain.views import Views
from models.saved import load_model, save_model
from models.spec import FineTuneParams, HeadParams, ModelParams, PretrainParams

_WORKERS = 8


class Runs:
    """What comes of rows.

    Args:
        options: The command line of :mod:`bench.methods`.
        ways: Fields of section ``fine_tune``, by way.
        folder: For checkpoints, weights, features.

    Raises:
        UserError: A camera is in two splits.
    """

    def __init__(self, options: argparse.Namespace, ways: Mapping[str, dict[str, Any]], folder: Path) -> None:
        self._options = options
        self._ways = ways
        self._folder = folder
        self._device = torch.device(options.device)
        manifest = read_manifest(options.data / "manifest.parquet").sort_values(["source_id", "clip_id"])
        splits = {name: manifest[manifest["split"] == name] for name in ("train", "val", "test")}
        self._unlabelled = splits["train"]
        self._clips = {name: clips[clips["label"].notna()] for name, clips in splits.items()}
        self._labels = sorted(set(self._clips["train"]["label"]))
        for name, others in (("val", "train"), ("test", "train"), ("test", "val")):
            if both := set(self._clips[name]["source_id"]) & set(self._clips[others]["source_id"]):
                raise UserError(f"{options.data}: camera {min(both)} is in {others} and in {name}; split by source")

    def made(self, row: Row) -> dict[str, Any]:
        """What a row comes to."""
        if row.method == MAJORITY:
            commonest = self._clips["train"]["label"].value_counts().idxmax()
            return self._measured(self._clips["test"]["label"].to_numpy() == commonest)
        best = self._best(row)
        return best | {"rates_tried": self._options.lr}

    def _best(self, row: Row) -> dict[str, Any]:
        """The run with the rate that the cameras for validation prefer."""
        runs = [run for lr in self._options.lr if (run := self._run(row, lr))]
        if not runs:
            raise UserError(f"--lr: {row}: training came apart at every rate; try lower ones")
        return min(runs, key=lambda run: float(run["val_loss"]))

    def _run(self, row: Row, lr: float) -> dict[str, Any]:
        """A run, made now or read; empty where training came apart."""
        folder = self._folder / f"{row.key}-{lr:g}"
        folder.mkdir(parents=True, exist_ok=True)
        result = folder / "run.json"
        with FileLock(folder / "run.lock"):
            if not result.exists():
                try:
                    run = self._trained(row, lr, folder)
                except DivergedError as error:
                    print(f"  {lr:g}: {error}", flush=True)
                    run = {}
                with replacing(result) as temporary:
                    temporary.write_text(json.dumps(run), encoding="utf-8")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found

    def _trained(self, row: Row, lr: float, folder: Path) -> dict[str, Any]:
        weights, pretrain_s = self._pretrained(row) if row.pretrained else (row.weights, 0.0)
        params = ModelParams(family=row.family, flavour=row.flavour, weights=weights, head=_head(row))
        job = self._job(row, lr)
        model = build_model(params, len(self._labels), seed=row.seed).to(self._device)
        base = base_digest(model)
        labelled = f"{row.family}-{row.flavour}-{base}-{row.seed}-{row.labelled}"
        attached = attach(model, job, seed=row.seed)
        with ExitStack() as around:
            epochs = fit(
                model,
                self._loader(self._labelled(row), model, job, seed=row.seed, augment=job.augment, shuffle=True),
                self._loader(self._clips["val"], model, job),
                job,
                seed=row.seed,
                objective=self._objective(row, model, job, around),
                checkpoint=folder / "checkpoint",
                feature_cache=self._folder / f"features-{labelled}",
                on_epoch=lambda it: print(f"  {lr:g}: {it.phase} {it.epoch}, {it.val_loss:.3f}", flush=True),
            )
        save_delta(folder / "delta.safetensors", attached, job, base)
        attached.merge()
        if row == teacher_of(row, self._options):
            save_model(folder / "model", model, params, self._labels)
        test = self._loader(self._clips["test"], model, job)
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
            "pretrain_seconds": pretrain_s,
            "job": job.model_dump(mode="json"),
        }

    def _job(self, row: Row, lr: float) -> FineTuneParams:
        options = self._options
        is_head = self._ways[row.method]["method"] == "head"
        from_nothing = FROM_NOTHING if row.starts_from_nothing and not is_head else {}
        return FineTuneParams.model_validate(
            {
                "epochs": options.head_epochs if is_head else row.epochs,
                "head_epochs": options.head_epochs, "batch_size": options.batch_size, "lr": lr,
                "precision": options.precision, "warmup_epochs": 0.5, "weight_decay": 0.02,
                "num_threads": options.threads,
                **from_nothing, **self._ways[row.method],
            }
        )  # fmt: skip

    def _objective(self, row: Row, model: VideoModel, job: FineTuneParams, around: ExitStack) -> Objective:
        parts = [build_objective(job)]
        if job.l2_sp:
            parts.append(near_start(model, job.l2_sp))
        if row.method in STUDENTS[1:]:
            best = self._best(teacher := teacher_of(row, self._options))
            network, card = load_model(self._folder / f"{teacher.key}-{best['lr']:g}" / "model")
            lessons = taught(model, self._labels, network.to(self._device), card["labels"], job.teacher, seed=row.seed)
            parts.append(around.enter_context(lessons))
        return Total(parts)

    def _pretrained(self, row: Row) -> tuple[str, float]:
        """Weights that came of the training cameras' clips without a look at labels, and the seconds that took."""
        options = self._options
        out = self._folder / f"pretrained-{row.family}-{row.flavour}-{row.weights}-{row.pretrained}-{row.seed}"
        out.mkdir(parents=True, exist_ok=True)
        weights, seconds = out / "weights.safetensors", out / "seconds"
        with FileLock(out / "run.lock"):
            if not seconds.exists():
                started_s = time.perf_counter()
                params = PretrainParams(
                    objective="contrastive", epochs=row.pretrained, batch_size=options.pretrain_batch_size,
                    precision=options.precision, num_threads=options.threads,
                )  # fmt: skip
                start = ModelParams(family=row.family, flavour=row.flavour, weights=row.weights)
                model = build_model(start, num_classes=2, seed=row.seed)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(row.seed)
                    pretext = build_pretext(model.backbone, model.clip_input, params).to(self._device)
                views = Views(
                    options.data, self._unlabelled, model.clip_input, params, pretext.num_views, seed=row.seed,
                    num_workers=_workers() // 2, device=self._device,
                )  # fmt: skip
                pretrain(
                    pretext, views, params, seed=row.seed, checkpoint=out / "checkpoint",
                    on_epoch=lambda epoch, loss: print(f"  pretrain {epoch}, {loss:.3f}", flush=True),
                )  # fmt: skip
                state = {name: tensor.cpu().contiguous() for name, tensor in pretext.backbone.state_dict().items()}
                with replacing(weights) as temporary:
                    save_file(state, temporary)
                with replacing(seconds) as temporary:
                    temporary.write_text(f"{time.perf_counter() - started_s}", encoding="utf-8")
        return str(weights), float(seconds.read_text(encoding="utf-8"))

    def _labelled(self, row: Row) -> pd.DataFrame:
        clips = self._clips["train"]
        if not row.labelled:
            return clips
        shuffled = clips.sample(frac=1.0, random_state=row.seed)
        return shuffled.groupby("label", sort=False).head(row.labelled).sort_values(["source_id", "clip_id"])

    def _loader(self, clips: pd.DataFrame, model: VideoModel, job: FineTuneParams, **options: Any) -> ClipLoader:
        return ClipLoader(
            self._options.data, clips, self._labels, model.clip_input, job.batch_size,
            num_workers=_workers(), device=self._device, **options,
        )  # fmt: skip

    def _right(self, model: VideoModel, loader: Loader) -> NDArray[np.bool_]:
        predicted_N = np.array(self._labels, dtype=object)[predict(model.eval(), loader).argmax(1)]
        right_N: NDArray[np.bool_] = predicted_N == self._clips["test"]["label"].to_numpy()
        return right_N

    def _measured(self, right_N: NDArray[np.bool_]) -> dict[str, Any]:
        source_N = self._clips["test"]["source_id"].to_numpy()
        by_source = {
            source: "".join("1" if right else "0" for right in right_N[source_N == source])
            for source in dict.fromkeys(source_N)
        }
        return {"accuracy": float(right_N.mean()), "right": by_source}


def _head(row: Row) -> HeadParams:
    return HeadParams(name="linear") if row.method == "linear probe" else HeadParams(name="temporal", hidden=row.hidden)


def _workers() -> int:
    return min(os.cpu_count() or 1, _WORKERS)
