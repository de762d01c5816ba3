"""What every test gets: a home of its own, no telemetry, the repository's root as working folder."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadFileScheduling

from models.backbones.hugging_face import PACKAGE
from tasks.settings import hush, settings

hush()
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, whoever is first
for _name in [name for name in os.environ if name.startswith(("VIDEOLOOP_", "MLFLOW_TRACKING", "PREFECT_API"))]:
    del os.environ[_name]


class _Turns(LoadFileScheduling):
    """A file's tests share a process; those that start servers or kill processes share one, and so take turns.

    But for the longest, which has a third of their time: the other process has done the rest by then.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        takes_turns = file.startswith("tests/integration/") and not file.endswith("/test_watch_killed.py")
        return "integration" if takes_turns else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Who runs what when several processes share the tests (pytest -n)."""
    return _Turns(config, log)


def pytest_report_header() -> list[str]:
    if find_spec(PACKAGE):
        return []
    return [f"not tested, since {PACKAGE} is not installed (pip install -r requirements-test.lock): its families"]


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State that outlives runs goes to a folder of the test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("VIDEOLOOP_HOME", str(home))
    settings.cache_clear()
    yield home
    settings.cache_clear()
