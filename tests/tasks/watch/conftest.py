"""One champion for all tests of the watch; each has a decision log, and what the watch keeps, of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.settings import settings
from tests.support.registries import own_home
from tests.support.watched import add_champion


@pytest.fixture(scope="session")
def _place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with own_home(home):
        add_champion(tmp_path_factory.mktemp("champion"))
    return home


@pytest.fixture(scope="session")
def _place_of_sets(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with own_home(home):
        add_champion(tmp_path_factory.mktemp("champion"), multi_label=True, share_wrong=0.2)
    return home


@pytest.fixture
def watched(_place, tmp_path, monkeypatch):
    """The home of a registry with a champion."""
    yield from _alone(_place, tmp_path, monkeypatch)


@pytest.fixture
def watched_sets(_place_of_sets, tmp_path, monkeypatch):
    """The home of a registry whose champion gives clips sets of labels, four fifths of them the right ones."""
    yield from _alone(_place_of_sets, tmp_path, monkeypatch)


def _alone(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_home(place) as home:
        monkeypatch.setenv("VIDEOLOOP_DATABASE_URL", f"sqlite:///{tmp_path / 'log.db'}")
        monkeypatch.chdir(tmp_path)
        settings.cache_clear()
        for folder in ("watch", "incoming", "requests"):
            shutil.rmtree(home / folder, ignore_errors=True)
        yield home
