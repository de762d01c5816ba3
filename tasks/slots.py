"""Slots: how many trials run at a time, and who sees them.

With a Prefect server, slots are those of its concurrency limit, which all searches and machines share, and each trial
is a task run. Without one they are this search's own, and Prefect is not imported.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, cast
from uuid import UUID

from models.errors import UserError
from tasks.settings import Settings, prefect_environment

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

_LEASE_S = 60
"""A holder that is killed gives its slot back after so long."""

_PAUSE_S = 1.0
"""While all slots are taken, a trial asks again so often."""

_ALL_TAKEN = object()


class StoppedError(Exception):
    """The search is over, and its trials with it."""


@dataclass
class Visit:
    """One trial while it holds a slot.

    Attributes:
        state: How it ended: ``completed``, ``pruned`` or ``failed``. Set it before the slot is left.
        message: Why.
    """

    state: str = "completed"
    message: str = ""


class Slots(Protocol):
    """Hands out slots."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def hold(self, name: str, stopped: Event) -> AbstractContextManager[Visit]:
        """Wait for a slot and hold it for the trial ``name``.

        Raises:
            StoppedError: ``stopped`` was set while it waited.
        """
        ...


@dataclass(frozen=True)
class OwnSlots:
    """Slots of this search alone: as many as it has threads."""

    size: int

    @contextmanager
    def hold(self, name: str, stopped: Event) -> Iterator[Visit]:  # noqa: ARG002
        """Hold a slot: the thread that calls is one."""
        yield Visit()


def open_slots(config: Settings, own: int) -> Slots:
    """The slots of the Prefect server where one answers, else ``own`` slots of this search.

    Raises:
        UserError: The server does not have the limit.
    """
    if (url := config.prefect_url) is None:
        return OwnSlots(own)
    (config.home / "prefect").mkdir(parents=True, exist_ok=True)
    # Prefect reads its settings when it is imported. What is logged here reaches its server with the stage's output.
    os.environ.update(prefect_environment(config) | {"PREFECT_API_URL": url, "PREFECT_LOGGING_EXTRA_LOGGERS": ""})
    slots = PrefectSlots(config.slot, config.flow_run)
    return slots if slots.answers else OwnSlots(own)


class PrefectSlots:
    """Slots of a Prefect concurrency limit; a trial that holds one is a task run.

    A server that stops answering stops no trial: those that run keep running, and those that come run without a slot,
    still as many at a time as there are threads.

    Args:
        limit: Name of the concurrency limit.
        flow_run: Flow run to which the task runs belong; empty for none.

    Raises:
        UserError: The server does not have the limit.
    """

    def __init__(self, limit: str, flow_run: str) -> None:
        self._limit = limit
        self._flow_run = UUID(flow_run) if flow_run else None
        self._silent = False
        self.size = self._read_size()

    @property
    def answers(self) -> bool:
        """Whether the server answered when it was last asked."""
        return not self._silent

    @contextmanager
    def hold(self, name: str, stopped: Event) -> Iterator[Visit]:
        """Wait for a slot, and show the trial as a task run."""
        visit = Visit()
        run = self._show(name)
        try:
            with self._slot(stopped):
                self._move(run, "running", "")
                yield visit
        except BaseException as error:
            visit = Visit("crashed", str(error) or type(error).__name__)
            raise
        finally:
            self._move(run, visit.state, visit.message)

    def _read_size(self) -> int:
        from prefect.exceptions import ObjectNotFound

        try:
            limit = self._ask(lambda client: client.read_global_concurrency_limit_by_name(self._limit))
        except ObjectNotFound:
            raise self._missing() from None
        return max(limit.limit, 1) if limit else 1

    def _show(self, name: str) -> UUID | None:
        from prefect import Task

        task = Task(fn=PrefectSlots.hold, name="trial")
        run = self._ask(
            lambda client: client.create_task_run(task, flow_run_id=self._flow_run, dynamic_key=name, name=name)
        )
        return run.id if run else None

    def _move(self, run: UUID | None, state: str, message: str) -> None:
        from prefect.client.schemas.objects import State, StateType

        if run is None:
            return
        types = {"running": StateType.RUNNING, "failed": StateType.FAILED, "crashed": StateType.CRASHED}
        to = State(type=types.get(state, StateType.COMPLETED), name=state.capitalize(), message=message or None)
        self._ask(lambda client: client.set_task_run_state(run, to, force=True))

    @contextmanager
    def _slot(self, stopped: Event) -> Iterator[None]:
        from prefect.concurrency._leases import maintain_concurrency_lease

        lease = self._wait_for_lease(stopped)
        if lease is None:
            yield
            return
        try:
            with maintain_concurrency_lease(lease, _LEASE_S, suppress_warnings=True):
                yield
        finally:
            self._ask(lambda client: client.release_concurrency_slots_with_lease(lease))

    def _wait_for_lease(self, stopped: Event) -> UUID | None:
        """The lease on a slot; None where the server does not answer.

        Prefect's own ``concurrency`` waits on a thread of its own, which does not hear that the search was stopped.
        """
        while not stopped.is_set():
            answer = self._ask(self._try_to_lease)
            if answer is not _ALL_TAKEN:
                return cast("UUID | None", answer)
            stopped.wait(_PAUSE_S)
        raise StoppedError

    def _try_to_lease(self, client: "SyncPrefectClient") -> Any:
        import httpx

        try:
            answer = client.increment_concurrency_slots_with_lease([self._limit], 1, "concurrency", _LEASE_S).json()
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.LOCKED:
                return _ALL_TAKEN
            raise
        if not answer["limits"]:  # Prefect lets everyone through a limit that does not exist
            raise self._missing()
        return UUID(answer["lease_id"])

    def _ask(self, question: "Callable[[SyncPrefectClient], Any]") -> Any:
        """The server's answer; None where it does not answer."""
        import httpx
        from prefect.client.orchestration import get_client
        from prefect.exceptions import ObjectNotFound

        try:
            with get_client(sync_client=True) as client:
                answer = question(client)
        except ObjectNotFound:
            raise
        except (httpx.HTTPError, RuntimeError) as error:
            self._lost(error)
            return None
        if self._silent:
            logger.info("Prefect answers again")
            self._silent = False
        return answer

    def _lost(self, error: BaseException) -> None:
        if not self._silent:
            logger.warning("Prefect does not answer, so trials go on without its slots: %s", error)
        self._silent = True

    def _missing(self) -> UserError:
        return UserError(
            f"the Prefect server has no concurrency limit {self._limit!r} (VIDEOLOOP_SLOT) to hand out slots: run "
            f"`videoloop up`, or `prefect global-concurrency-limit create {self._limit} --limit 1`"
        )
