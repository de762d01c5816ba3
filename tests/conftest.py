"""What every test gets: a home of its own, no telemetry, the repository's root as working folder."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from models.backbones.hugging_face import PACKAGE
from tasks.settings import hush, settings

hush()
for _name in [name for name in os.environ if name.startswith(("VIDEOLOOP_", "MLFLOW_TRACKING", "PREFECT_API"))]:
    del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers and killed processes get one worker, one test after the other; other files go wherever there is room."""
    for item in items:
        alone = item.get_closest_marker("integration") is not None
        item.add_marker(pytest.mark.xdist_group("integration" if alone else item.nodeid.partition("::")[0]))


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
