"""Labels from request to round, by the command line, Git and DVC: what a person does and what the next round sees."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from models.clips.manifest import read_manifest
from tasks import layout
from tasks.ingest import ingest
from tasks.labelling.outputs import write_outputs
from tasks.repository import git
from tasks.workspace import LATEST, round_workspace
from tests.support.questions import outputs_of
from tests.support.videos import pictures, write_video

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
LABELS = ["run", "walk"]
PARAMS = {
    "base": {"name": "demo"},
    "ingest": {"short_side": 32, "max_fps": 10, "min_duration_s": 0.5},
    "model": {"family": "c3d", "flavour": "debug"},
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@localhost")
    root = tmp_path / "checkout"
    (root / ".dvc").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch", "main")
    for name in ("config", ".gitignore"):
        (root / ".dvc" / name).write_text((ROOT / ".dvc" / name).read_text())
    (root / ".gitignore").write_text("/data\n/requests/\n")
    (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    commit(root)
    monkeypatch.chdir(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "more")


def videoloop(*arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_labels_reach_the_next_round(checkout: Path, tmp_path: Path) -> None:
    for number in range(8):
        label, camera = LABELS[number % 2], f"cam{number // 2}"
        write_video(tmp_path / "source" / label / camera / "1.mp4", pictures(8, seed=number))
        write_video(tmp_path / "incoming" / f"new{number % 4}" / f"{number}.mp4", pictures(8, seed=100 + number))
    videoloop("ingest", str(tmp_path / "source"))
    assert "8 clips have no label yet" in videoloop("ingest", str(tmp_path / "incoming"), "--unlabelled").stdout
    commit(checkout)
    git(checkout, "branch", LATEST)  # a round's data, from before anybody labelled

    clips = read_manifest(layout.MANIFEST)
    write_outputs(outputs_of(clips, LABELS), tmp_path / "outputs.parquet")
    asked = videoloop("label", "request", str(tmp_path / "outputs.parquet"), "--budget", "6", "--per-source", "2")
    [folder] = (checkout / "requests").iterdir()
    assert asked.stdout.startswith("6 clips of ")
    assert str(folder.relative_to(checkout)) in asked.stdout

    path = folder / "labels.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    for row, label in zip(rows, ["walk", "run", "walk", "run", "?", "wolk"], strict=True):
        row["label"] = label
    write(rows, path)
    refused = videoloop("label", "receive", str(path), code=2)
    assert refused.stderr.startswith(f"error: {path}: row 7: label 'wolk' is unknown; did you mean walk?")
    assert not (checkout / "person_labels.csv").exists()
    rows[5]["label"] = "walk"
    write(rows, path)
    said = videoloop("label", "receive", str(path)).stdout
    assert "run: 2" in said
    assert "walk: 3" in said
    assert "5 labels taken" in said
    assert "1 skipped" in said
    assert "git add person_labels.csv data.dvc && git commit" in said
    commit(checkout)

    with round_workspace(str(tmp_path / "source")) as work:
        params = work.params
        ingest(Path(work.source), work.root / layout.DATA, params.ingest, params.split, seed=params.base.seed)
        manifest = read_manifest(work.root / layout.MANIFEST).set_index("clip_id")
    labelled = {row["clip_id"]: row["label"] for row in rows if row["label"] != "?"}
    assert manifest.loc[list(labelled), "label"].to_dict() == labelled
    assert set(manifest.loc[list(labelled), "label_origin"]) == {"person"}
    assert (manifest.dropna(subset="split").groupby("source_id")["split"].nunique() == 1).all()
    assert manifest["label"].isna().sum() == 3


def write(rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
