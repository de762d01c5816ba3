import multiprocessing
import signal
import time

import pytest

from models.errors import UserError
from tasks.registry import lock
from tasks.registry.lock import alone_with
from tasks.settings import settings
from tests.support.postgres import postgres


@pytest.fixture(scope="module")
def postgres_url():
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)], autouse=True)
def _database(request, monkeypatch):
    if request.param == "postgresql":
        monkeypatch.setenv("VIDEOLOOP_DATABASE_URL", request.getfixturevalue("postgres_url"))
        settings.cache_clear()


def _hold(holding) -> None:
    with alone_with("actions"):
        holding.set()
        time.sleep(60)


@pytest.fixture
def holder():
    """Another process that holds the lock of ``actions``."""
    context = multiprocessing.get_context("fork")
    holding = context.Event()
    process = context.Process(target=_hold, args=(holding,))
    process.start()
    assert holding.wait(20)
    yield process
    process.kill()
    process.join()


def test_a_second_process_waits_and_is_told_when_it_waited_too_long(holder, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
    with pytest.raises(UserError, match="another command registers or promotes this model"), alone_with("actions"):
        pass


def test_other_models_do_not_wait(holder):
    with alone_with("others"):
        pass


def test_the_lock_of_a_killed_process_is_free(holder):
    holder.kill()
    holder.join()
    assert holder.exitcode == -signal.SIGKILL
    with alone_with("actions"):
        pass


def test_the_lock_is_given_back_after_an_error():
    with pytest.raises(KeyError), alone_with("actions"):
        raise KeyError
    with alone_with("actions"):
        pass
