"""One at a time: a lock per model name that spans every process which shares the database."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from models.errors import UserError
from tasks.decisions import engine
from tasks.settings import settings

PATIENCE_S = 300.0


@contextmanager
def alone_with(name: str) -> Iterator[None]:
    """Hold the lock of the model ``name``; it goes when the process does.

    With SQLite it is a file lock beside ``settings().home``, with PostgreSQL an advisory lock of the session.

    Raises:
        UserError: Somebody else has held the lock for minutes.
    """
    held = _held_in_postgresql if settings().database.startswith("postgresql") else _held_as_file
    with held(name):
        yield


@contextmanager
def _held_as_file(name: str) -> Iterator[None]:
    folder = settings().home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"model-{_digest(name).hex()}.lock", timeout=PATIENCE_S)
    try:
        lock.acquire()
    except Timeout:
        raise _taken(name) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _held_in_postgresql(name: str) -> Iterator[None]:
    key = int.from_bytes(_digest(name), "big", signed=True)
    with engine(settings().database).connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(f"SET lock_timeout = '{int(PATIENCE_S * 1000)}ms'"))
        try:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        except OperationalError:
            raise _taken(name) from None
        yield  # closing the connection gives the lock back


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:8]


def _taken(name: str) -> UserError:
    return UserError(f"{name}: another command registers or promotes this model right now; try again when it has ended")
