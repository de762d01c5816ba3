"""The registry is a real one, in a file; only the making of a model is faked: its versions cost nothing."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.errors import UserError
from tasks.decisions import decisions
from tasks.registry.client import registry
from tasks.serve.follower import Follower
from tasks.serve.last_good import LastGood
from tasks.serve.metrics import Metrics
from tasks.serve.model import identity_of
from tests.support.registries import add_version, own_home
from tests.support.serving import served_version


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(place):
    with own_home(place) as home:
        yield home


@pytest.fixture
def name(home, request, tmp_path):
    name = re.sub(r"\W+", "-", request.node.name)
    for number in range(1, 4):
        assert add_version(tmp_path / str(number), name) == number
    return name


class Loader:
    """Makes versions ready, but for those that have a fault."""

    def __init__(self) -> None:
        self.faults: dict[int, Exception] = {}
        self.loaded: list[int] = []

    def __call__(self, version):
        number = int(version.version)
        self.loaded.append(number)
        if number in self.faults:
            raise self.faults[number]
        with ThreadPoolExecutor(1) as executor:
            made = served_version(executor, number)
        object.__setattr__(made, "name", version.name)
        object.__setattr__(made, "identity", identity_of(version))
        return made


class Broken:
    """A registry that does not answer."""

    tracking_uri = "http://user:secret@nowhere"

    def search_registered_models(self, *arguments, **more):
        from mlflow.exceptions import MlflowException

        raise MlflowException("connection to http://user:secret@nowhere refused")


@pytest.fixture
def load():
    return Loader()


@pytest.fixture
def follower(name, load, home):
    return made_follower(name, load, home)


def made_follower(name, load, home, client=None):
    return Follower(client or registry(), name, load, Metrics(), LastGood(home, name), poll_s=60)


def promote(name: str, version: int) -> None:
    registry().set_registered_model_alias(name, "champion", str(version))


def stands(follower) -> tuple[int | None, bool, int | None]:
    standing = follower.standing
    return (
        standing.live.version if standing.live else None,
        standing.up_to_date,
        standing.refusal.version if standing.refusal else None,
    )


def refusals(name: str) -> list[str]:
    return [row.what for row in reversed(decisions(None, name, "serve"))]


def test_the_champion_is_loaded_once_and_its_successor_takes_its_place(name, follower, load):
    promote(name, 1)
    follower.look()
    follower.look()
    assert stands(follower) == (1, True, None)
    promote(name, 2)
    follower.look()
    assert stands(follower) == (2, True, None)
    assert load.loaded == [1, 2]
    assert refusals(name) == []


@pytest.mark.parametrize("fault", [UserError("its weights are not those"), MemoryError("no room"), KeyError("labels")])
def test_a_version_that_does_not_load_is_refused_once_and_for_everyone_to_see(name, follower, load, fault, monkeypatch):
    promote(name, 1)
    follower.look()
    load.faults[2] = fault
    promote(name, 2)
    for _ in range(3):
        follower.look()
    assert stands(follower) == (1, False, 2)
    assert str(fault).strip("'") in follower.standing.refusal.reason
    assert load.loaded == [1, 2]  # not tried again at once
    for _ in range(2):
        follower.wake()  # a person promotes it again
        follower.look()
    assert load.loaded == [1, 2, 2, 2]
    assert refusals(name) == ["version 2 is not served; version 1 keeps answering"]
    page = follower._metrics.page().decode()
    assert "videoloop_serve_refusals_total 1.0" in page
    assert "videoloop_serve_up_to_date 0.0" in page
    promote(name, 1)
    follower.look()
    assert stands(follower) == (1, True, 2)
    assert load.loaded == [1, 2, 2, 2]


def test_a_refused_version_that_was_mended_is_served_after_a_while(name, follower, load, monkeypatch):
    monkeypatch.setattr("tasks.serve.follower._RETRY_S", (0.0,))
    load.faults[1] = UserError("its files cannot be read")
    promote(name, 1)
    follower.look()
    assert stands(follower) == (None, False, 1)
    load.faults.clear()
    follower.look()
    assert stands(follower) == (1, True, 1)


def test_a_champion_that_is_gone_leaves_the_old_one_answering(name, follower, load):
    promote(name, 2)
    follower.look()
    registry().delete_model_version(name, "2")
    for _ in range(2):
        follower.look()
    assert stands(follower) == (2, False, None)
    assert "alias champion" in follower.standing.refusal.reason
    assert refusals(name) == ["there is no champion to serve; version 2 keeps answering"]
    promote(name, 3)
    follower.look()
    assert stands(follower) == (3, True, None)


def test_an_alias_on_a_deleted_version_is_refused(name, follower, load, monkeypatch):
    promote(name, 1)
    follower.look()
    promote(name, 2)
    monkeypatch.setattr("tasks.serve.follower.versions_of", lambda client, name: {})
    follower.look()
    assert stands(follower) == (1, False, 2)
    assert "was deleted" in follower.standing.refusal.reason
    assert load.loaded == [1]


def test_a_registry_that_is_away_changes_nothing_and_gives_no_password_away(name, follower, load):
    promote(name, 1)
    follower.look()
    there, follower._client = follower._client, Broken()
    for _ in range(2):
        follower.look()
    assert stands(follower) == (1, True, None)
    assert "refused" in follower.standing.registry_error
    assert "secret" not in follower.standing.registry_error
    follower._client = there
    follower.look()
    assert follower.standing.registry_error is None
    assert refusals(name) == []


def test_after_a_restart_the_last_version_answers_when_the_champion_cannot(name, load, home):
    first = made_follower(name, load, home)
    promote(name, 1)
    first.look()
    promote(name, 2)
    load.faults[2] = UserError("broken")
    first.look()
    second = made_follower(name, load, home)
    second.look()
    assert stands(second) == (1, False, 2)
    away = made_follower(name, load, home, Broken())
    away.look()
    away.look()
    assert stands(away) == (1, False, None)
    assert load.loaded == [1, 2, 2, 1, 1]
    assert refusals(name) == ["version 2 is not served; version 1 keeps answering"]
    away._client = registry()
    promote(name, 1)
    away.look()  # the champion is what answers already
    assert stands(away) == (1, True, None)
    assert load.loaded == [1, 2, 2, 1, 1]


def test_without_any_champion_nothing_answers_and_nothing_is_refused(name, follower, load):
    follower.look()
    assert stands(follower) == (None, False, None)
    absent = made_follower("absent", load, follower._last_good._path.parent)
    absent.look()
    assert "there is no such model" in absent.standing.registry_error


def test_waking_does_not_wait_for_the_clock_and_a_move_by_hand_is_in_the_decision_log(name, follower):
    promote(name, 1)
    follower.start()
    try:
        wait_for(lambda: stands(follower) == (1, True, None))
        wait_for(lambda: len(decisions(None, name, "observe")) == 1)
        promote(name, 2)
        follower.wake()
        wait_for(lambda: stands(follower) == (2, True, None))
        wait_for(lambda: len(decisions(None, name, "observe")) == 2)
    finally:
        follower.stop()
    wait_for(lambda: not any(thread.name == "observe" for thread in threading.enumerate()))
    assert [row.evidence["to"] for row in decisions(None, name, "observe")] == [2, 1]


def wait_for(true) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
