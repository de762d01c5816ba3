"""Validation as a stage: its exit code, what it prints, what it leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from models.clips.manifest import read_manifest, write_manifest
from tests.support.dataset import write_dataset

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PARAMS = {
    "base": {"name": "demo"},
    "model": {"family": "c3d", "flavour": "debug"},
    "validate": {"min_clips_per_class": 3, "short_side_px": [8, 4320]},
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "data")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    manifest = read_manifest(tmp_path / "data" / "manifest.parquet")
    manifest["sha256"] = manifest["clip_id"]  # every clip a file of its own
    write_manifest(manifest, tmp_path / "data" / "manifest.parquet")
    return tmp_path


def validate(workspace: Path) -> "subprocess.CompletedProcess[str]":
    home = workspace / "home"
    return subprocess.run(
        [sys.executable, "-m", "tasks.validate"],
        cwd=workspace, capture_output=True, text=True, check=False, timeout=180,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VIDEOLOOP_HOME": str(home)},
    )  # fmt: skip


def test_a_good_dataset_passes_in_silence(workspace: Path) -> None:
    done = validate(workspace)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert json.loads((workspace / "results" / "validate" / "summary.json").read_text())["success"]
    pages = list((workspace / "home" / "mlartifacts").rglob("data_docs/*.html"))
    assert {page.name for page in pages} == {"index.html", "clips.html", "classes.html"}


def test_a_bad_dataset_stops_the_round_and_names_the_clips(workspace: Path) -> None:
    manifest = read_manifest(workspace / "data" / "manifest.parquet")
    manifest.loc[manifest["clip_id"] == "cam0-left-0", "brightness"] = 1.0
    write_manifest(manifest, workspace / "data" / "manifest.parquet")
    done = validate(workspace)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    lines = [line.split() for line in done.stderr.splitlines()]
    assert ["cam0-left-0", "made", "brightness", "1"] in lines
    assert done.stderr.splitlines()[-1].startswith("error: data/manifest.parquet: 1 of ")
    docs = workspace / "home" / "data_docs" / "index.html"
    assert str(docs) in done.stderr
    assert "cam0-left-0" in docs.read_text()
