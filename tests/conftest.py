"""What every test gets: a home of its own, no telemetry, the repository's root as working folder."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import torch

from models.backbones.hugging_face import PACKAGE
from tasks.settings import hush, settings
from tests.support.databases import SHARED
from tests.support.seconds import SECONDS

hush()
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, whoever is first
for _name in [name for name in os.environ if name.startswith(("VIDEOLOOP_", "MLFLOW_TRACKING", "PREFECT_API"))]:
    del os.environ[_name]

_MEMORY, _NEEDED_GB = Path("/dev/shm"), 4


def pytest_configure(config: pytest.Config) -> None:
    """Files of tests lie in memory where there is room: they are databases, which wait for the disk at every step.

    Processes that share the tests (pytest -n) share the cores, and so have one thread each.
    """
    if _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _NEEDED_GB * 1e9:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
    if config.getoption("numprocesses"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """When several processes share the tests, they begin with the files that take longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -SECONDS.get(item.nodeid.partition("::")[0].removeprefix("tests/"), 0))


def pytest_report_header() -> list[str]:
    if find_spec(PACKAGE):
        return []
    return [f"not tested, since {PACKAGE} is not installed (pip install -r requirements-test.lock): its families"]


@pytest.fixture(scope="session", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What all processes that share the tests share: databases to copy, and what DVC keeps for any repository."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    os.environ[SHARED] = str(folder / "databases")
    os.environ["DVC_SITE_CACHE_DIR"] = str(folder / "dvc")


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """State that outlives runs goes to a folder of the test."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("VIDEOLOOP_HOME", str(home))
    settings.cache_clear()
    yield home
    settings.cache_clear()
