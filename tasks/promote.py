"""Make a version champion, take that back, name a challenger."""

import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks.decisions import record
from tasks.gate.verdict import Verdict
from tasks.params.quality import JudgeParams, PromoteParams
from tasks.registry.champion import Reign, move, observe, was_champion
from tasks.registry.client import find_version, reachable, registry, version_with_alias, versions_of
from tasks.registry.lock import alone_with
from tasks.registry.names import CHALLENGER, CHAMPION, VERDICT
from tasks.registry.trust import verify_everything

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)


class ChampionChangedError(UserError):
    """The champion is not the one any more that was there when a promotion began."""


@dataclass(frozen=True)
class Promotion:
    """What became of a wish to change the champion.

    Attributes:
        name: The model.
        version: The champion now.
        previous: The champion before; the same when nothing changed.
    """

    name: str
    version: int
    previous: int | None

    @property
    def changed(self) -> bool:
        """Whether the champion is another one now."""
        return self.version != self.previous


def promote(name: str, version: int | None = None, *, who: str, why: str) -> Promotion:
    """Make ``version`` champion, by default the challenger.

    All its files are checked against what was registered. The champion that was there when this began must still be
    there when the alias moves: of two promotions at once one is refused, and the decision log says so.

    Raises:
        UserError: Name or version do not exist, there is no challenger, a file is not what was registered, or the
            champion changed meanwhile.
    """
    client = registry()
    seen = version_with_alias(client, name, CHAMPION)
    wanted = version if version is not None else _challenger(client, name)
    return _crown(client, "promote", name, wanted, seen=seen, who=who, why=why)


def rollback(name: str, *, who: str, why: str) -> Promotion:
    """Make the previous champion champion again.

    Previous is what the decision log says, moves in the MLflow UI included. Going back twice goes two champions back,
    never forth again; versions that were deleted are passed over.

    Raises:
        UserError: There is no such model, no earlier champion, a file of it is not what was registered, or the
            champion changed meanwhile.
    """
    client = registry()
    with alone_with(name):
        reign = observe(client, name)
    there = versions_of(client, name)
    earlier = [version for version in reign.earlier if version in there]
    if not earlier:
        raise UserError(_nothing_to_go_back_to(name, reign))
    return _crown(client, "rollback", name, earlier[-1], seen=reign.current, who=who, why=why)


def introduce(name: str, version: int, params: PromoteParams) -> None:
    """Make a newly registered ``version`` challenger, or champion where it is the first and ``params`` say so.

    Where a person makes another one champion meanwhile it is a challenger.

    Raises:
        UserError: The version does not exist, or a file of it is not what was registered.
    """
    client = registry()
    with alone_with(name):
        reign = observe(client, name)
    if reign.current == version:
        return
    why = "the first version of a name becomes champion (promote.first in params.yaml)"
    is_first = params.first and reign.current is None and not reign.earlier
    if not is_first or _crowned_by_policy(client, name, version, seen=None, why=why) is None:
        set_challenger(name, version)


def promote_clear_win(name: str, verdict: Verdict, params: JudgeParams) -> bool:
    """Make the judged version champion where ``params`` let policy do it and ``verdict`` is a clear win.

    Once: a version that was champion before lost that to a person, or to a better one. A verdict against another
    champion than the present one says nothing, and a person who promotes meanwhile goes first.

    Returns:
        Whether it became champion now.

    Raises:
        UserError: The version does not exist, or a file of it is not what was registered.
    """
    if params.promote != "auto" or verdict.outcome != "better":
        return False
    client = registry()
    with alone_with(name):
        reign = observe(client, name)
    if reign.current != verdict.champion or was_champion(name, verdict.version):
        return False
    why = f"a clear win is promoted (judge.promote in params.yaml): {verdict.text}"
    promotion = _crowned_by_policy(client, name, verdict.version, seen=verdict.champion, why=why)
    return promotion is not None and promotion.changed


def set_challenger(name: str, version: int) -> None:
    """Give the alias ``challenger`` to ``version``.

    Raises:
        UserError: Name or version do not exist.
    """
    client = registry()
    found = find_version(client, name, version)
    before = version_with_alias(client, name, CHALLENGER)
    if before == version:
        return
    with reachable():
        client.set_registered_model_alias(name, CHALLENGER, str(version))
    evidence = {"from": before, "challenger": version}
    key = f"challenge:{name}:{version}:{found.source}"
    record("challenge", name, f"challenger is version {version}", "a round registered it", evidence, key=key)


def _challenger(client: "MlflowClient", name: str) -> int:
    challenger = version_with_alias(client, name, CHALLENGER)
    if challenger is None:
        raise UserError(f"{name}: there is no challenger; name the version, or run a round")
    return challenger


def _crowned_by_policy(
    client: "MlflowClient", name: str, version: int, *, seen: int | None, why: str
) -> Promotion | None:
    """None where the champion changed meanwhile: a round does not fail because a person was faster."""
    try:
        return _crown(client, "promote", name, version, seen=seen, who="policy", why=why)
    except ChampionChangedError as error:
        logger.warning("%s", error)
        return None


def _crown(
    client: "MlflowClient", kind: str, name: str, version: int, *, seen: int | None, who: str, why: str
) -> Promotion:
    found = find_version(client, name, version)
    verify_everything(client, found)
    with alone_with(name):
        reign = observe(client, name)
        if reign.current == version:
            return Promotion(name, version, version)
        if reign.current != seen:
            raise _refused(kind, name, version, seen, reign.current, who, why)
        find_version(client, name, version)  # somebody may have deleted it meanwhile
        evidence = {"who": who, "verdict": found.tags.get(VERDICT)}
        reason = f"{why} ({who})" if why else f"{who} gave no reason"
        move(client, kind, name, version, before=reign.current, why=reason, evidence=evidence)
    return Promotion(name, version, seen)


def _refused(
    kind: str, name: str, version: int, seen: int | None, current: int | None, who: str, why: str
) -> ChampionChangedError:
    what = f"did not make version {version} champion"
    reason = f"the champion changed meanwhile from {seen or 'none'} to {current or 'none'}"
    evidence = {"who": who, "wanted": version, "wanted_why": why, "seen": seen, "found": current}
    record(kind, name, what, reason, evidence, key=f"{kind}:{name}:{uuid.uuid4()}")
    return ChampionChangedError(
        f"{name}: {reason}, so version {version} was not made champion; look at it and try again"
    )


def _nothing_to_go_back_to(name: str, reign: Reign) -> str:
    if reign.earlier:
        gone = ", ".join(map(str, reign.earlier))
        return f"{name}: every earlier champion ({gone}) was deleted from the registry; promote a version that is there"
    return f"{name}: there was no champion before{f' version {reign.current}' if reign.current else ''}; promote one"
