"""What retraining on a new look gains there, and loses on the old one: ``python -m bench.forgetting --look red_floor``.

The champion learns the demonstration's world as it usually is. Then the same cameras look otherwise, and of that at
most 20 clips a class are labelled, those for validation included. Accuracy is measured on cameras that no model was
trained on, under both looks. Heads are trained on frozen features, so that all of it takes minutes; ``--method full``
trains whole networks with the job of params.yaml, and takes an hour on two cores.
"""

import argparse
import csv
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.machine import describe
from infra.demo.dataset import World, write_world
from infra.demo.looks import LOOKS
from models.build import VideoModel
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.features import plain_features
from models.predict import predict
from models.saved import load_model, save_model
from models.spec import ContinualParams, FineTuneParams, HeadParams, ModelParams
from tasks.ingest import ingest
from tasks.job import job
from tasks.params.data import IngestParams, SplitParams
from tasks.params_file import load_params
from tasks.statistics.bootstrap import Interval, paired_source_bootstrap
from tasks.training_clips import labelled_clip_ids

_NUM_LABELLED = 10
_CLIPS_PER_ACTION = 2
"""Ten cameras with two labelled clips of each class are twenty a class; those of the last cameras are validated on."""

_MODEL = ModelParams(family="efficientnet_lite0", flavour="8x112", weights="imagenet", head=HeadParams())
_JOB = FineTuneParams(
    method="head", epochs=30, lr=2e-3, weight_decay=0.02, early_stopping_patience=0, num_threads=1, warmup_epochs=0.5
)

_FULL = load_params().fine_tune.job

_WAYS: dict[str, dict[str, Any]] = {
    "new clips alone": {"rehearsal": {"clips": 0}, "distillation": {"weight": 0.0}},
    "distillation": {"rehearsal": {"clips": 0}},
    "rehearsal": {"distillation": {"weight": 0.0}},
    "rehearsal of 117": {"rehearsal": {"clips": 117}, "distillation": {"weight": 0.0}},
    "rehearsal, distillation": {},
    "rehearsal, EWC": {"distillation": {"weight": 0.0}, "anchor": {"importance": "fisher", "weight": 300.0}},
    "all clips from scratch": {"start": "scratch"},
}


def main() -> None:
    """Render, train, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--look", default="red_floor", metavar="NAME", help=f"one of {', '.join(LOOKS)} (red_floor)")
    arguments.add_argument("--test-cameras", type=int, default=8, metavar="N", help="cameras to measure on (8)")
    arguments.add_argument("--val-cameras", type=int, default=3, metavar="N", help="labelled, to validate on (3)")
    arguments.add_argument("--method", choices=("head", "full"), default="head", help="what is trained (head)")
    arguments.add_argument("--way", nargs="+", default=list(_WAYS), metavar="NAME", help="of retraining; default: all")
    arguments.add_argument("--seeds", type=int, default=1, metavar="N", help="how often all of it is trained (1)")
    arguments.add_argument("--folder", type=Path, help="where clips and features are kept; default: nowhere")
    options = arguments.parse_args()
    fine_tune = _JOB if options.method == "head" else _FULL
    torch.set_num_threads(fine_tune.num_threads)
    logging.disable(logging.INFO)
    print(describe("torch", "av"))
    started_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        bench = _Bench(folder, options.look, options.test_cameras, options.val_cameras, fine_tune, options.way)
        runs = [run for seed in range(options.seeds) for run in bench.runs(seed)]
    _print(pd.DataFrame(runs), options.look)
    print(f"\n{time.perf_counter() - started_s:.0f} s")


@dataclass(frozen=True)
class _Bench:
    folder: Path
    look: str
    num_test: int
    num_val: int
    fine_tune: FineTuneParams
    ways: list[str]

    def runs(self, seed: int) -> Iterator[dict[str, Any]]:
        """Which test clips the champion, and what comes of it in each way, get right."""
        old, both = self._data("base", ["base"]), self._data(self.look, ["base", self.look])
        train = partial(job, _MODEL, self.fine_tune, seed=seed, feature_cache=self.folder / "features")
        kept = self.folder / f"champion-{self.fine_tune.method}-{seed}"
        if not kept.exists():
            made, labels, _ = train(old)
            save_model(kept, made, _MODEL, labels, clip_ids=labelled_clip_ids(old))
        champion, card = load_model(kept)
        test = _Test(both, card["labels"], self.fine_tune.method == "head")
        yield {"way": "champion", **test.right(champion)}
        for way in self.ways:
            continual = ContinualParams.model_validate(_WAYS[way])
            start = kept if continual.start == "champion" else None
            yield {"way": way, **test.right(train(both, continual=continual, champion=start)[0])}

    def _data(self, name: str, looks: list[str]) -> Path:
        """A dataset of all cameras under some looks, each camera in one split."""
        table, data = self.folder / f"{name}.csv", self.folder / f"data-{name}"
        rows = [row for look in looks for row in self._rows(look)]
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        ingest(table, data, IngestParams(short_side=128), SplitParams(by="given"), seed=0, num_workers=1)
        return data

    def _rows(self, look: str) -> Iterator[dict[str, str]]:
        num_cameras = _NUM_LABELLED + self.num_test
        clips, world = self.folder / look, World(look, batch=0 if look == "base" else 1)
        table = write_world(world, clips, cameras=num_cameras, clips_per_action=_CLIPS_PER_ACTION)
        with table.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                number = int(row["source_id"].rpartition("-")[2])
                yield {**row, "path": str((clips / row["path"]).absolute()), "split": self._split(number)}

    def _split(self, camera: int) -> str:
        if camera > _NUM_LABELLED:
            return "test"
        return "val" if camera > _NUM_LABELLED - self.num_val else "train"


class _Test:
    """The test clips of both looks.

    Args:
        data: The dataset.
        labels: Its classes.
        same_backbone: Whether all models share one, so that features need to be made but once.
    """

    def __init__(self, data: Path, labels: list[str], same_backbone: bool) -> None:
        clips = read_manifest(data / "manifest.parquet")
        self._clips = clips[clips["split"] == "test"].reset_index(drop=True)
        self._data, self._labels = data, labels
        self._is_old_N = self._clips["uri"].str.contains("/base/").to_numpy()
        self._same_backbone = same_backbone
        self._features_NTD: Tensor | None = None

    def right(self, model: VideoModel) -> dict[str, Any]:
        """Which clips of each look a model gets right, and their cameras."""
        predicted_N = np.array(self._labels, dtype=object)[self._scores(model.eval()).argmax(1)]
        right_N, source_N = predicted_N == self._clips["label"].to_numpy(), self._clips["source_id"].to_numpy()
        return {
            name: (right_N[chosen_N], source_N[chosen_N])
            for name, chosen_N in (("old", self._is_old_N), ("new", ~self._is_old_N))
        }

    def _scores(self, model: VideoModel) -> NDArray[np.float32]:
        device = next(model.parameters()).device
        loader = ClipLoader(self._data, self._clips, self._labels, model.clip_input, 16, device=device)
        if not self._same_backbone:
            return predict(model, loader)
        if self._features_NTD is None:
            self._features_NTD = plain_features(model, loader)
        with torch.inference_mode():
            scores_NK: NDArray[np.float32] = model.head(self._features_NTD).cpu().numpy()
        return scores_NK


def _print(runs: pd.DataFrame, look: str) -> None:
    old, new = ({way: _joined(group[name]) for way, group in runs.groupby("way")} for name in ("old", "new"))
    before_old, before_new = old["champion"][0].mean(), new["champion"][0].mean()
    lost = before_old - before_new
    print(f"\n{look}: {len(old['champion'][0])} and {len(new['champion'][0])} test clips")
    print(f"{'':26}{'new look':>9}{'gained':>8}{'of what was lost':>18}{'old look':>10}{'change (95%)':>26}")
    for way in runs["way"].unique():
        now_old, now_new = old[way][0].mean(), new[way][0].mean()
        gained = now_new - before_new
        change = _change(old[way], old["champion"])
        interval = f"{change.estimate:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
        share = f"{gained / lost:.0%}" if lost > 0 else "nothing lost"
        print(f"{way:26}{now_new:9.3f}{gained:+8.3f}{share:>18}{now_old:10.3f}{interval:>26}")


def _joined(parts: Any) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    rights, sources = zip(*parts, strict=True)
    return np.concatenate(rights), np.concatenate(sources)


def _change(now: tuple[NDArray[np.bool_], NDArray[Any]], before: tuple[NDArray[np.bool_], NDArray[Any]]) -> Interval:
    return paired_source_bootstrap(now[0], before[0], now[1], resamples=2000, confidence=0.95, seed=0)


if __name__ == "__main__":
    main()
