"""Databases of servers with all their tables, made once for a run of the tests: making them takes seconds each."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from filelock import FileLock

SHARED = "TESTS_DATABASES"
"""Names the folder in which the processes that share the tests keep them."""


def put_prefect(folder: Path) -> None:
    """Put Prefect's database into ``folder``, its home, unless there is one."""
    _put(folder / "prefect.db", _make_prefect)


def put_mlflow(folder: Path) -> None:
    """Put MLflow's database into ``folder`` unless there is one."""
    _put(folder / "mlflow.db", _make_mlflow)


def _put(path: Path, make: Callable[[Path], None]) -> None:
    if SHARED not in os.environ or path.exists():  # a bench makes its own
        return
    made = Path(os.environ[SHARED]) / path.name
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.exists():
            make(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, path)


def _make_prefect(path: Path) -> None:
    home = path.with_suffix(".home")
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_API_URL": ""}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with closing(sqlite3.connect(home / path.name)) as database:  # with what still lies in its log
        database.execute("VACUUM INTO ?", (str(path),))


def _make_mlflow(path: Path) -> None:
    from mlflow import MlflowClient

    new = path.with_suffix(".new")
    MlflowClient(f"sqlite:///{new}", f"sqlite:///{new}").search_registered_models()
    shutil.copyfile(new, path)
