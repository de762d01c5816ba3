"""The decision log: what was seen, what was done or not done, and why. Rows are added, never changed.

The table lives in ``settings().database``, SQLite or PostgreSQL. Both refuse to change or remove a row.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    NullPool,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError

from models.errors import UserError
from tasks.settings import settings

logger = logging.getLogger(__name__)

_CREATION_LOCK = 0x7669_6465_6F6C  # an arbitrary number that every process knows: "videol"
_BUSY_S = 30


@dataclass(frozen=True)
class Decision:
    """One row of the log.

    Attributes:
        id: Position in the log.
        key: Identity of the event; recording it again changes nothing.
        at: When it was first recorded, in UTC.
        kind: The verb: ``register``, ``judge``, ``promote``, ``rollback`` ...
        subject: What it is about, such as a model's name.
        what: What was done, or not done.
        why: The reason, in a sentence.
        evidence: Numbers and names behind it.
    """

    id: int
    key: str
    at: datetime
    kind: str
    subject: str
    what: str
    why: str
    evidence: dict[str, Any]


class _Utc(TypeDecorator[datetime]):
    """A time with zone in, UTC out, also in databases that forget the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value else None


_metadata = MetaData()
_decisions = Table(
    "decisions",
    _metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(500), nullable=False, unique=True),
    Column("at", _Utc, nullable=False),
    Column("kind", String(50), nullable=False),
    Column("subject", String(300), nullable=False, index=True),
    Column("what", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
)

_APPEND_ONLY = {
    "sqlite": [
        "CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions "
        "BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END",
        "CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions "
        "BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION decisions_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the decision log is append-only'; END $$",
        "CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions "
        "FOR EACH STATEMENT EXECUTE FUNCTION decisions_refuse()",
    ],
}


def record(kind: str, subject: str, what: str, why: str, evidence: dict[str, Any], *, key: str) -> Decision:
    """Add a decision, once per ``key``.

    Returns:
        The row that stands under ``key``: this one, or the one that was there.

    Raises:
        UserError: The database cannot be reached.
    """
    row = {
        "key": key,
        "at": datetime.now(UTC),
        "kind": kind,
        "subject": subject,
        "what": what,
        "why": why,
        "evidence": evidence,
    }
    with _connection() as connection:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        added = connection.execute(insert(_decisions).values(row).on_conflict_do_nothing(index_elements=["key"]))
        if added.rowcount:
            logger.info("decided: %s: %s (%s)", subject, what, why)
        return _decision(connection.execute(select(_decisions).where(_decisions.c.key == key)).mappings().one())


def decisions(limit: int | None = 100, subject: str | None = None, kind: str | None = None) -> list[Decision]:
    """The latest decisions, newest first, of one ``subject`` and ``kind`` where they are given."""
    query = select(_decisions).order_by(_decisions.c.id.desc()).limit(limit)
    if subject is not None:
        query = query.where(_decisions.c.subject == subject)
    if kind is not None:
        query = query.where(_decisions.c.kind == kind)
    with _connection() as connection:
        return [_decision(row) for row in connection.execute(query).mappings()]


def decision(key: str) -> Decision | None:
    """The decision recorded under ``key``."""
    with _connection() as connection:
        row = connection.execute(select(_decisions).where(_decisions.c.key == key)).mappings().one_or_none()
        return _decision(row) if row else None


@lru_cache
def engine(url: str) -> Engine:
    """The way to the database at ``url``; connections are not kept, so processes may fork.

    Raises:
        UserError: The address is not one, or its driver is not installed.
    """
    try:
        made = create_engine(url, poolclass=NullPool, connect_args=_connect_args(url))
    except ArgumentError:
        raise UserError(f"VIDEOLOOP_DATABASE_URL: {url!r} is not a database address such as sqlite:////path") from None
    except ModuleNotFoundError as error:
        raise UserError(
            f"VIDEOLOOP_DATABASE_URL: the driver {error.name} is not installed; for PostgreSQL write "
            "postgresql+psycopg://... and install psycopg[binary]"
        ) from None
    if made.dialect.name not in ("sqlite", "postgresql"):
        raise UserError(f"VIDEOLOOP_DATABASE_URL: {made.dialect.name} is not supported; use SQLite or PostgreSQL")
    return made


def _connect_args(url: str) -> dict[str, Any]:
    return {"timeout": _BUSY_S} if url.startswith("sqlite") else {"connect_timeout": _BUSY_S}


@contextmanager
def _connection() -> Iterator[Connection]:
    """A transaction on the database, with the table in it."""
    database = engine(settings().database)
    try:
        with database.begin() as connection:
            _create_table(connection)
        with database.begin() as connection:
            yield connection
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        address = database.url.render_as_string(hide_password=True)
        raise UserError(
            f"the decision log in {address} cannot be used: {reason}; check VIDEOLOOP_DATABASE_URL"
        ) from error


def _create_table(connection: Connection) -> None:
    if inspect(connection).has_table(_decisions.name):
        return
    # Of two processes that find no table, the second waits here and then finds it.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
    if inspect(connection).has_table(_decisions.name):
        return
    _metadata.create_all(connection)
    for statement in _APPEND_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def _decision(row: RowMapping) -> Decision:
    return Decision(**row)
