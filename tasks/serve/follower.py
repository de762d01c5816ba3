"""Follows the alias: the champion is made ready beside the version that answers, and takes its place, or is refused.

A webhook or the clock wakes it; what is true it asks the registry alone.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from tasks.registry.champion import observe
from tasks.registry.client import version_with_alias, versions_of
from tasks.registry.lock import alone_with
from tasks.registry.names import CHAMPION
from tasks.serve.last_good import LastGood
from tasks.serve.metrics import Metrics
from tasks.serve.model import ServedVersion, identity_of
from tasks.serve.refusal import Refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

_RETRY_S = (30.0, 60.0, 300.0)
_STOP_S = 10.0
_NO_CHAMPION = "no version has the alias champion any more: it was taken away, or its version was deleted"
_PASSWORD = re.compile(r"//[^/@\s]+@")

Load = Callable[["ModelVersion"], ServedVersion]


@dataclass(frozen=True)
class Standing:
    """How things stand.

    Attributes:
        live: The version that answers.
        refusal: The last version that was refused, or that was not there.
        up_to_date: Whether the champion answers, as far as is known.
        registry_error: Why the registry did not say who is champion, when it was asked last.
    """

    live: ServedVersion | None = None
    refusal: Refusal | None = None
    up_to_date: bool = False
    registry_error: str | None = None


class Follower:
    """Keeps the champion of ``name`` in service, in a thread of its own."""

    def __init__(
        self,
        client: "MlflowClient",
        name: str,
        load: Load,
        metrics: Metrics,
        last_good: LastGood,
        *,
        poll_s: float,
        keep_subscribed: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a follower.

        Args:
            client: Of the registry.
            name: The registered model.
            load: Makes a version ready, or raises.
            metrics: Hear of swaps and refusals.
            last_good: Remembers what answered, for a start without the registry or with a champion that is refused.
            poll_s: Longest time between two looks at the registry.
            keep_subscribed: Called now and then: keeps the webhook registered.
        """
        self.standing = Standing()
        self._client = client
        self._name = name
        self._load = load
        self._metrics = metrics
        self._last_good = last_good
        self._poll_s = poll_s
        self._keep_subscribed = keep_subscribed
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._seen: tuple[int | None] | None = None
        self._num_tries, self._again_s = 0, 0.0

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; a version that is being made ready is given up."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def wake(self) -> None:
        """Look at the registry now, also at a version that was refused."""
        self._again_s = 0.0
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.look()
                self._keep_subscribed()
            except Exception:  # whatever it is, the version that answers goes on to answer
                logger.exception("following the registry failed; trying again in %g s", self._poll_s)
            self._wake.wait(self._poll_s)

    def look(self) -> None:
        """Ask the registry who is champion, and do what follows."""
        try:
            wanted = version_with_alias(self._client, self._name, CHAMPION)
            known = {} if wanted is None or self._answers(wanted) else versions_of(self._client, self._name)
        except UserError as error:
            self._registry_fails(str(error))
        else:
            self._stand(registry_error=None)
            self._follow(wanted, known)
            self._note_move(wanted)
        if self.standing.live is None:
            self._fall_back()
        self._metrics.asked(reachable=self.standing.registry_error is None, up_to_date=self.standing.up_to_date)

    def _answers(self, wanted: int) -> bool:
        live = self.standing.live
        # Numbers are never given twice; a version from the last run is known again only by its files.
        return live is not None and live.version == wanted and self.standing.up_to_date

    def _follow(self, wanted: int | None, known: "dict[int, ModelVersion]") -> None:
        live = self.standing.live
        if wanted is None:
            if live or self._last_good.remembered():
                self._refuse(None, "", _NO_CHAMPION)
        elif self._answers(wanted):
            return
        elif wanted not in known:
            self._refuse(wanted, "deleted", f"version {wanted} has the alias {CHAMPION} and was deleted")
        elif live is not None and live.identity == identity_of(known[wanted]):
            self._stand(up_to_date=True)
        else:
            self._take(known[wanted])

    def _take(self, version: "ModelVersion") -> None:
        refusal, identity = self.standing.refusal, identity_of(version)
        if refusal and refusal.identity == identity and time.monotonic() < self._again_s:
            return
        began_s = time.monotonic()
        try:
            ready = self._load(version)
        except Exception as error:
            # A damaged file makes libraries raise what they like.
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self._refuse(int(version.version), identity, reason)
            return
        if self._stop.is_set():
            return
        self._serve(ready, up_to_date=True)
        logger.info("%s version %d answers, ready in %.1f s", self._name, ready.version, time.monotonic() - began_s)
        self._last_good.remember(version)

    def _serve(self, ready: ServedVersion, *, up_to_date: bool) -> None:
        # One assignment: a request has the old version or the new one, and keeps it to its end.
        self._stand(live=ready, up_to_date=up_to_date)
        self._num_tries = 0
        self._metrics.swapped(self._name, ready.version)

    def _refuse(self, version: int | None, identity: str, reason: str) -> None:
        known, live = self.standing.refusal, self.standing.live
        reason = _PASSWORD.sub("//", " ".join(reason.split()))
        is_news = known is None or self.standing.up_to_date or (known.identity, known.reason) != (identity, reason)
        if is_news:
            self._num_tries = 0
            self._metrics.refused()
            keeping = f"version {live.version} keeps answering" if live else "nothing answers"
            subject = f"version {version} is refused" if version else "there is no champion"
            logger.warning("%s: %s: %s; %s", self._name, subject, reason, keeping)
            known = Refusal(version, identity, reason, datetime.now(UTC))
        assert known is not None
        self._again_s = time.monotonic() + _RETRY_S[min(self._num_tries, len(_RETRY_S) - 1)]
        self._num_tries += 1
        kept = live.version if live else self._last_good.remembered()
        self._stand(refusal=known.recorded_for(self._name, kept), up_to_date=False)

    def _registry_fails(self, reason: str) -> None:
        reason = _PASSWORD.sub("//", reason)
        if self.standing.registry_error is None:
            logger.warning("%s: the registry does not say who is champion: %s", self._name, reason)
        self._stand(registry_error=reason)

    def _fall_back(self) -> None:
        """Serve what answered before the restart: better than nothing, and checked like any other."""
        version = self._last_good.version()
        if version is None or self._last_good.tried:
            return
        self._last_good.tried = True
        try:
            ready = self._load(version)
        except Exception as error:
            logger.warning("%s: version %s, which answered last, is refused: %s", self._name, version.version, error)
            return
        logger.warning("%s: version %d answers, which answered before the restart", self._name, ready.version)
        self._serve(ready, up_to_date=False)

    def _note_move(self, wanted: int | None) -> None:
        """A move by hand is in the decision log as soon as it is seen, beside those by command."""
        if self._seen == (wanted,):
            return
        self._seen = (wanted,)
        # Not in this thread: a round that registers may hold the lock for minutes.
        threading.Thread(target=_observed, args=(self._client, self._name), name="observe", daemon=True).start()

    def _stand(self, **changed: Any) -> None:
        self.standing = replace(self.standing, **changed)


def _observed(client: "MlflowClient", name: str) -> None:
    try:
        with alone_with(name):
            observe(client, name)
    except UserError as error:
        logger.warning("%s: the move of its alias is not in the decision log yet: %s", name, error)
