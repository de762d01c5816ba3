"""One computation, two doors: what `dvc repro` does without a champion, with one, and again."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.clips.manifest import read_manifest, write_manifest
from models.saved import read_card
from tasks.champion_note import hashes_of, write_note
from tests.support.champions import MODEL, write_champion
from tests.support.dataset import write_dataset

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
JOB = {"method": "head", "epochs": 3, "batch_size": 4, "num_threads": 1}
PARAMS = {
    "base": {"name": "demo"},
    "split": {"by": "given"},
    "validate": {"min_sources_per_class": 1, "short_side_px": [16, 4320], "duration_s": [0.1, 60]},
    "model": MODEL.model_dump(mode="json"),
    "continual": {"rehearsal": {"clips": 6}},
    "fine_tune": {**JOB, "from_search": ["lr"]},
    "pretrain": {"objective": "none"},
    "search": {"trials": 3, "retrain_trials": 2, "slots": 1, "job": JOB, "space": {"lr": {"low": 1e-4, "high": 0.1}}},
}


class Checkout:
    """The pipeline of this repository over a tiny dataset."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("dvc.yaml", "champion.json", ".dvcignore"):
            shutil.copy(ROOT / name, root / name)
        for name in ("models", "tasks"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        self.call("git", "init", "--quiet")
        self.call("dvc", "init", "--quiet")
        manifest = write_dataset(root / "data", clips_per_source=5) / "manifest.parquet"
        clips = read_manifest(manifest)
        write_manifest(clips.assign(sha256=clips["clip_id"]), manifest)  # every clip a file of its own

    def call(self, *command: str) -> str:
        program = [sys.executable, "-m", "dvc"] if command[0] == "dvc" else [command[0]]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        place = {"PATH": path, "PYTHONPATH": str(self.root), "VIDEOLOOP_HOME": str(self.root / "home")}
        done = subprocess.run(
            [*program, *command[1:]], cwd=self.root, env={**os.environ, **place}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def stages_that_ran(self) -> list[str]:
        said = self.call("dvc", "repro", "fine_tune")
        return [name for name in ("validate", "search", "fine_tune") if f"Running stage '{name}'" in said]

    def best(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "results/search/best_params.json").read_text())
        return found


def test_the_stages_follow_the_note_and_nothing_else(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    model = tmp_path / "results" / "fine_tune" / "model"
    assert checkout.stages_that_ran() == ["validate", "search", "fine_tune"]
    assert checkout.best()["num_trials"] == 3
    assert read_card(model)["started_from"] is None
    assert checkout.stages_that_ran() == []

    known = read_manifest(tmp_path / "data" / "manifest.parquet")["clip_id"]
    champion = write_champion(tmp_path / "champion", clip_ids=known[~known.str.endswith("4")])
    assert checkout.stages_that_ran() == []  # files that no note names are none
    write_note(tmp_path, {"name": "demo", "version": 1, "files": hashes_of(champion)})
    assert checkout.stages_that_ran() == ["search", "fine_tune"]
    assert checkout.best()["num_trials"] == 2
    assert read_card(model)["started_from"]["weights_sha256"] == read_card(champion)["weights_sha256"]
    warm = hashes_of(model)
    assert checkout.stages_that_ran() == []

    write_note(tmp_path, None)
    checkout.stages_that_ran()
    assert read_card(model)["started_from"] is None
    write_note(tmp_path, {"name": "demo", "version": 1, "files": hashes_of(champion)})
    checkout.stages_that_ran()
    assert hashes_of(model) == warm
