"""The search as a stage, with trials that train."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from sqlalchemy import create_engine, text

from tests.support.dataset import write_dataset
from tests.support.postgres import postgres

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TRIALS = 4
PARAMS = {
    "base": {"name": "demo"},
    "model": {"family": "efficientnet_lite0", "flavour": "debug"},
    "search": {
        "trials": TRIALS,
        "slots": 2,
        "job": {"method": "head", "epochs": 4, "batch_size": 4, "num_threads": 1},
        "space": {
            "lr": {"low": 0.0003, "high": 0.01, "log": True},
            "head.dropout": {"low": 0.0, "high": 0.6},
            "optimizer": {"choices": ["adamw", "sgd"]},
        },
    },
}


class Stage:
    """``python -m tasks.search`` in a workspace with a tiny dataset."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.root = root
        write_dataset(root / "data")
        (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        self.database = environment.get("VIDEOLOOP_DATABASE_URL", f"sqlite:///{root / 'home' / 'videoloop.db'}")
        self.mlflow = f"sqlite:///{root}/mlflow.db"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "VIDEOLOOP_HOME": str(root / "home"),
            "MLFLOW_TRACKING_URI": self.mlflow,
            **environment,
        }

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tasks.search"], cwd=self.root, env=self.environment)

    def results(self) -> tuple[dict[str, object], pd.DataFrame]:
        folder = self.root / "results" / "search"
        return json.loads((folder / "best_params.json").read_text()), pd.read_csv(folder / "trials.csv")

    def states(self) -> list[str]:
        """The states of all trials in the database."""
        return [row.state for row in self._query(self.database, "SELECT state FROM trials ORDER BY number")]

    def runs(self) -> list[tuple[str, str]]:
        """Name and status of the MLflow runs that are nested under another."""
        nested = "SELECT r.name, r.status FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'mlflow.parentRunId'"
        return sorted((row.name, row.status) for row in self._query(self.mlflow, nested))

    @staticmethod
    def _query(url: str, query: str) -> list[object]:
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(query)))
        finally:
            engine.dispose()


def test_trials_train_and_are_nested_runs(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with stage.start() as search:
        assert search.wait(timeout=240) == 0
    best, trials = stage.results()
    assert best["num_trials"] == len(trials) == TRIALS
    assert trials.loc[0, "default"]
    assert 0 < best["value"] <= best["default_value"] < 10
    assert 0 <= best["val_accuracy"] <= 1
    assert set(best["values"]) == {"lr", "head.dropout", "optimizer"}
    assert [name for name, _ in stage.runs()] == [f"trial {number}" for number in range(TRIALS)]
    importance = pd.read_csv(tmp_path / "results" / "search" / "importance.csv")
    assert set(importance["parameter"]) == {"lr", "head.dropout", "optimizer"}


def test_a_search_that_is_killed_leaves_no_process_and_goes_on_where_it_was(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with stage.start() as search:
        while not (trials := _trials_of(search)):
            assert search.poll() is None
            time.sleep(0.05)
        while stage.states().count("COMPLETE") < 1 or not (trials := _trials_of(search)):
            assert search.poll() is None
            time.sleep(0.05)
        search.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs(trials, timeout=60)
    assert gone
    assert not alive
    finished = stage.states().count("COMPLETE")
    assert 1 <= finished < TRIALS
    assert "RUNNING" in stage.states()

    with stage.start() as search:
        assert search.wait(timeout=240) == 0
    best, trials_table = stage.results()
    assert best["num_trials"] == len(trials_table) == TRIALS
    assert set(stage.states()) <= {"COMPLETE", "PRUNED", "FAIL"}
    assert stage.states().count("FAIL") == len(stage.states()) - TRIALS > 0
    assert trials_table["default"].sum() == 1


def test_a_study_lives_in_postgresql(tmp_path: Path) -> None:
    with postgres() as url:
        stage = Stage(tmp_path, VIDEOLOOP_DATABASE_URL=url)
        with stage.start() as search:
            assert search.wait(timeout=240) == 0
        assert len(stage.states()) == TRIALS
        assert not (tmp_path / "home" / "videoloop.db").exists()
        first = (tmp_path / "results" / "search" / "trials.csv").read_bytes()
        with stage.start() as search:
            assert search.wait(timeout=240) == 0
        assert len(stage.states()) == TRIALS
        assert (tmp_path / "results" / "search" / "trials.csv").read_bytes() == first


def test_a_mistake_in_the_space_ends_with_code_2(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    wrong = PARAMS["search"] | {"space": {"head.dropuot": {"low": 0.0, "high": 0.5}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS | {"search": wrong}))
    done = subprocess.run(
        [sys.executable, "-m", "tasks.search"],
        cwd=tmp_path, env=stage.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "error: params.yaml: search.space.head.dropuot: there is no such field to search; did you mean head.dropout?"
    )


def _trials_of(search: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    try:
        children = psutil.Process(search.pid).children()
        return [child for child in children if "tasks.trial" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []
