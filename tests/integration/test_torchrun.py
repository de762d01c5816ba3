"""The stage as a user starts it on several processes, beside the same on one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from models.saved import load_model
from models.spec import HeadParams, ModelParams
from tasks.fine_tune import fine_tune
from tasks.params.training import FinalJobParams
from tasks.params.whole import BaseParams
from tests.support.dataset import write_dataset

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BASE = BaseParams(name="demo")
MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="linear", dropout=0.0))
JOB = FinalJobParams(
    method="full", epochs=3, head_epochs=1, batch_size=7, lr=0.01, optimizer="sgd", ema=0.5, freeze_batch_norm=False,
    num_threads=1, from_search=(), calibration="none",
)  # fmt: skip


def by_two_processes(root: Path) -> None:
    sections = {"base": BASE, "model": MODEL, "fine_tune": JOB}
    content = {name: section.model_dump(mode="json") for name, section in sections.items()}
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(ROOT / "champion.json", root)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, "-m", "tasks.fine_tune"],
        cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_two_processes_come_to_what_one_does_batch_normalisation_included(tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", ("left", "right", "up"))
    alone = tmp_path / "alone"
    fine_tune(BASE, MODEL, JOB, data=tmp_path / "data", out=alone / "model", curves=alone / "curves.csv")
    by_two_processes(tmp_path)
    shared = tmp_path / "results" / "fine_tune"
    curves, theirs = (pd.read_csv(folder / "curves.csv") for folder in (alone, shared))
    assert theirs["val_loss"].tolist() == pytest.approx(curves["val_loss"].tolist(), abs=1e-4)
    assert theirs["train_loss"].tolist() == pytest.approx(curves["train_loss"].tolist(), abs=1e-4)
    (model, _), (other, _) = (load_model(folder / "model") for folder in (alone, shared))
    moved = [name for name in model.state_dict() if name.endswith("running_var")]
    assert moved
    for name in moved:
        assert (other.state_dict()[name] - model.state_dict()[name]).norm() < 1e-3 * model.state_dict()[name].norm()
