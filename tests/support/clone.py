"""A clone of this repository whose rounds take seconds, used as a person uses theirs: through the command line."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support import databases
from tests.support.servers import free_port
from tests.support.videos import pictures, write_video

ROOT = Path(__file__).parents[2]
NAME = "squares"
LABELS = ("left", "right")
NUM_CAMERAS, CLIPS_PER_LABEL = 6, 2
_SMALL: dict[str, Any] = {
    "base": {"name": NAME},
    "validate": {"min_clips_per_class": 2},
    "model": {"flavour": "debug", "weights": "none", "head": {"hidden": 8}},
    "fine_tune": {"epochs": 1, "head_epochs": 1, "batch_size": 4, "num_threads": 1},
    "search": {"trials": 2, "job": {"epochs": 2, "batch_size": 4}},
    "evaluate": {"bootstrap": 100},
    "judge": {"bootstrap": 100},
}


class Clone:
    """A repository of its own in ``folder``, with this one's files as they are now, and servers of its own.

    Args:
        folder: Where it and its source are put.
        small: Whether params.yaml is cut down to seconds.

    Attributes:
        root: Its checkout.
        source: Films of a square that goes left or right, before several cameras: a folder per class.
        environment: What its commands run with.
    """

    def __init__(self, folder: Path, *, small: bool = True) -> None:
        self.root = folder / "clone"
        self.source = write_source(folder / "source")
        # Without SHELL, as under systemd, DVC runs stages by /bin/sh, which on Debian stays between the two.
        unwanted = re.compile("VIDEOLOOP_|SHELL$")
        inherited = {key: value for key, value in os.environ.items() if not unwanted.match(key)}
        self.environment = {
            **inherited,
            **{f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
            # The clone's packages win over this repository's editable installation; `python` is the one that runs this.
            "PYTHONPATH": str(self.root),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "VIDEOLOOP_MLFLOW_PORT": str(free_port()),
            "VIDEOLOOP_PREFECT_PORT": str(free_port()),
            "COLUMNS": "200",
        }
        self._copy_repository()
        if small:
            self.set_params(_SMALL)

    @property
    def home(self) -> Path:
        """Its state that outlives runs."""
        return self.root / ".videoloop"

    @property
    def mlflow(self) -> str:
        """Where its MLflow server answers once it is up."""
        return f"http://127.0.0.1:{self.environment['VIDEOLOOP_MLFLOW_PORT']}"

    @property
    def prefect(self) -> str:
        """The API of its Prefect server once that is up."""
        return f"http://127.0.0.1:{self.environment['VIDEOLOOP_PREFECT_PORT']}/api"

    @property
    def decision_log(self) -> Path:
        """The file of its decision log."""
        return self.home / "videoloop.db"

    def decisions(self, kind: str) -> list[dict[str, Any]]:
        """The evidence of every row of its decision log of that kind, oldest first."""
        with closing(sqlite3.connect(self.decision_log)) as database:
            rows = database.execute("SELECT evidence FROM decisions WHERE kind = ? ORDER BY id", (kind,))
            return [json.loads(evidence) for (evidence,) in rows]

    def videoloop(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        return self.run(*COMMAND, *arguments, **environment)

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the checkout to its end and keep what it says."""
        return subprocess.run(
            list(map(str, command)),
            cwd=self.root,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def git(self, *arguments: str) -> str:
        """What git says."""
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def set_params(self, changes: Mapping[str, Any]) -> None:
        """Change keys of params.yaml, section by section, and commit that."""
        path = self.root / "params.yaml"
        path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), changes), sort_keys=False))
        self.git("commit", "--quiet", "--all", "--message", f"Set {', '.join(changes)}")

    def versions(self) -> dict[int, dict[str, str]]:
        """Tags of every registered version, from its MLflow server."""
        found = self._mlflow("model-versions/search").get("model_versions", [])
        return {int(one["version"]): {tag["key"]: tag["value"] for tag in one.get("tags", [])} for one in found}

    def mlflow_runs(self) -> list[dict[str, Any]]:
        """The runs of its MLflow experiment, with their tags as a mapping."""
        experiment = self._mlflow("experiments/get-by-name", experiment_name=NAME)["experiment"]["experiment_id"]
        url = f"{self.mlflow}/api/2.0/mlflow/runs/search"
        answer = requests.post(url, json={"experiment_ids": [experiment], "max_results": 1000}, timeout=30)
        answer.raise_for_status()
        return [
            {**run["info"], "tags": {tag["key"]: tag["value"] for tag in run["data"]["tags"]}}
            for run in answer.json().get("runs", [])
        ]

    def aliases(self) -> dict[str, int]:
        """The registered model's aliases."""
        model = self._mlflow("registered-models/get", name=NAME)["registered_model"]
        return {one["alias"]: int(one["version"]) for one in model.get("aliases", [])}

    def _mlflow(self, question: str, **query: str) -> Any:
        answer = requests.get(f"{self.mlflow}/api/2.0/mlflow/{question}", params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def _copy_repository(self) -> None:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():  # what was removed and not committed yet is listed too
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        self._unschedule()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "As it is")

    def _unschedule(self) -> None:
        """What the clock would start in the middle of a test, at half past, nobody expects."""
        path = self.root / "infra" / "prefect.yaml"
        described = yaml.safe_load(path.read_text())
        for deployment in described["deployments"]:
            deployment.pop("schedules", None)
        path.write_text(yaml.safe_dump(described, sort_keys=False))


COMMAND = (sys.executable, "-m", "flows.cli")


@contextmanager
def clone_in(folder: Path, *, small: bool = True, first_day: bool = False) -> Iterator[Clone]:
    """A clone whose servers are stopped in the end; on its ``first_day`` they have to make their databases."""
    clone = Clone(folder, small=small)
    if not first_day:
        databases.put_mlflow(clone.home)
        databases.put_prefect(clone.home / "prefect")
    try:
        yield clone
    finally:
        stopped = clone.videoloop("down")
        assert stopped.returncode == 0, stopped.stderr


def stages_run(said: str) -> list[str]:
    """The stages whose command ``dvc repro`` ran."""
    return re.findall(r"^Running stage '(\w+)'", said, re.MULTILINE)


def steps_of(said: str) -> dict[str, float]:
    """Seconds of each step, from the table that a round prints."""
    rows = re.findall(r"│ time: (\w+) +│ (\d+\.\d) s( \(up to date\))? +│", said)
    return {step: float(seconds) for step, seconds, _ in rows}


def write_source(folder: Path, cameras: Iterable[int] = range(NUM_CAMERAS), *, negative: bool = False) -> Path:
    """Write the films that the clone's rounds are about, a folder per class."""
    for camera in cameras:
        for number in range(CLIPS_PER_LABEL):
            shown = pictures(12 + number, 96, 72, seed=camera)
            shown = [255 - picture for picture in shown] if negative else shown
            for label, way in zip(LABELS, (reversed(shown), shown), strict=True):
                write_video(folder / label / f"camera{camera}" / f"{number}.mp4", way)
    return folder


def _merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    deeper = {key: _merged(content[key], value) for key, value in changes.items() if isinstance(value, Mapping)}
    return {**content, **changes, **deeper}
