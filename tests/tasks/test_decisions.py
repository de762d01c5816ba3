import multiprocessing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from models.errors import UserError
from tasks.decisions import decision, decisions, engine, record
from tasks.settings import settings
from tests.support.postgres import postgres


@pytest.fixture(scope="module")
def postgres_url():
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database(request, tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOLOOP_HOME", str(tmp_path))
    if request.param == "postgresql":
        monkeypatch.setenv("VIDEOLOOP_DATABASE_URL", request.getfixturevalue("postgres_url"))
    settings.cache_clear()
    yield settings().database
    with engine(settings().database).begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS decisions"))
        if request.param == "postgresql":
            connection.execute(text("DROP FUNCTION IF EXISTS decisions_refuse"))
    settings.cache_clear()


def test_a_decision_is_read_back_as_it_was_recorded(database):
    before = datetime.now(UTC)
    stored = record("judge", "actions", "kept 1", "it is better", {"low": 0.5, "names": ["a"]}, key="k")
    assert decisions() == [stored]
    assert (stored.kind, stored.subject, stored.what, stored.why) == ("judge", "actions", "kept 1", "it is better")
    assert stored.evidence == {"low": 0.5, "names": ["a"]}
    assert stored.at.tzinfo == UTC
    assert before - timedelta(seconds=1) < stored.at < datetime.now(UTC) + timedelta(seconds=1)


def test_the_same_key_is_recorded_once(database):
    first = record("judge", "actions", "better", "why", {"n": 1}, key="same")
    again = record("judge", "actions", "worse", "other", {"n": 2}, key="same")
    assert again == first
    assert decisions() == [first]
    assert decision("same") == first
    assert decision("other") is None


def test_the_newest_come_first_and_can_be_narrowed(database):
    for number in range(4):
        record("promote" if number % 2 else "judge", f"name-{number // 2}", str(number), "", {}, key=str(number))
    assert [row.what for row in decisions()] == ["3", "2", "1", "0"]
    assert [row.what for row in decisions(limit=2)] == ["3", "2"]
    assert [row.what for row in decisions(subject="name-0")] == ["1", "0"]
    assert [row.what for row in decisions(subject="name-1", kind="promote")] == ["3"]


@pytest.mark.parametrize("change", ["UPDATE decisions SET why = 'other'", "DELETE FROM decisions"])
def test_a_row_can_be_neither_changed_nor_removed(database, change):
    stored = record("judge", "actions", "better", "why", {}, key="k")
    with pytest.raises(DatabaseError, match="append-only"), engine(database).begin() as connection:
        connection.execute(text(change))
    assert decisions() == [stored]


def test_many_processes_that_record_at_once_lose_nothing_and_double_nothing(database):
    # Fresh interpreters: a fork would take over what other tests have left in this one.
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 6
    assert sorted(row.key for row in decisions()) == sorted(["shared", *map(str, range(6))])


def _write(number: int) -> None:
    record("judge", "actions", "", "", {}, key=str(number))
    record("judge", "actions", "", "", {}, key="shared")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a database address"),
        ("mysql+nothing://x/y", "VIDEOLOOP_DATABASE_URL"),
        ("sqlite:////nonexistent/folder/x.db", "unable to open"),
        ("postgresql+psycopg://nobody:secret@/x?host=/nonexistent", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(monkeypatch, url, words):
    monkeypatch.setenv("VIDEOLOOP_DATABASE_URL", url)
    settings.cache_clear()
    try:
        with pytest.raises(UserError, match=words) as raised:
            decisions()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert "secret" not in str(raised.value)


def test_the_default_is_a_file_in_home(tmp_path, monkeypatch):
    monkeypatch.setenv("VIDEOLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VIDEOLOOP_DATABASE_URL", raising=False)
    settings.cache_clear()
    try:
        record("judge", "actions", "", "", {}, key="k")
    finally:
        settings.cache_clear()
    assert (tmp_path / "home" / "videoloop.db").is_file()
