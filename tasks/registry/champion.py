"""Who is champion, who was before, and the alias that says so.

The decision log keeps every move of the alias. A person may move it in MLflow's UI too; :func:`observe` enters such a
move before anything is built on it.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.decisions import Decision, decisions, record
from tasks.registry.client import reachable, version_with_alias
from tasks.registry.names import CHAMPION

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

MOVES = ("promote", "rollback", "observe")


@dataclass(frozen=True)
class Reign:
    """Who is champion and who was.

    Attributes:
        current: The champion's version, if there is one.
        earlier: Champions before, the latest last, without those that were taken back.
    """

    current: int | None
    earlier: tuple[int, ...]


def observe(client: "MlflowClient", name: str) -> Reign:
    """Read the alias; enter a move that the decision log does not know. Call it while alone with ``name``."""
    current = version_with_alias(client, name, CHAMPION)
    known = _moves(name)
    last = known[-1].evidence["to"] if known else None
    if current != last:
        what = f"champion is version {current}" if current else "there is no champion any more"
        why = "the alias was moved outside of videoloop, as in the MLflow UI, or a promotion was interrupted"
        known.append(_enter("observe", name, what, why, last, current, {}))
    return _reign(current, [row.evidence["to"] for row in known])


def was_champion(name: str, version: int) -> bool:
    """Whether ``version`` is or ever was champion, also where that was taken back."""
    return any(row.evidence["to"] == version for row in _moves(name))


def move(
    client: "MlflowClient",
    kind: str,
    name: str,
    version: int,
    *,
    before: int | None,
    why: str,
    evidence: dict[str, Any],
) -> None:
    """Give the alias to ``version`` and enter that. Call it while alone with ``name``, after :func:`observe`."""
    with reachable():
        client.set_registered_model_alias(name, CHAMPION, str(version))
    what = f"champion is version {version}" + (f", was {before}" if before else "")
    _enter(kind, name, what, why, before, version, evidence)


def _moves(name: str) -> list[Decision]:
    """All moves of the alias, oldest first."""
    rows = decisions(limit=None, subject=name)
    return [row for row in reversed(rows) if row.kind in MOVES and "to" in row.evidence]


def _enter(
    kind: str, name: str, what: str, why: str, before: int | None, after: int | None, evidence: dict[str, Any]
) -> Decision:
    evidence = {**evidence, "from": before, "to": after}
    return record(kind, name, what, why, evidence, key=f"{kind}:{name}:{uuid.uuid4()}")


def _reign(current: int | None, champions: list[int | None]) -> Reign:
    """Undo what was taken back: a move to an earlier champion forgets those after it."""
    line: list[int] = []
    for champion in champions:
        if champion in line:
            del line[line.index(champion) + 1 :]
        elif champion is not None:
            line.append(champion)
    return Reign(current, tuple(version for version in line if version != current))
