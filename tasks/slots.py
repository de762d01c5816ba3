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
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from models.errors import UserError
from tasks.settings import Settings, prefect_environment

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

_LEASE_S = 60
"""A holder that is killed gives its slot back after so long."""

_PATIENCE_S = 5
"""While it waits for a slot, a trial looks so often whether the search was stopped."""


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
        import httpx
        from prefect.concurrency._asyncio import ConcurrencySlotAcquisitionError

        slot = None
        while slot is None and self.answers:
            if stopped.is_set():
                raise StoppedError
            try:
                slot = self._enter()
            except TimeoutError:
                self._read_size()  # all slots taken, or nobody there?
            except ConcurrencySlotAcquisitionError as error:
                if not isinstance(error.__cause__, httpx.TransportError):
                    raise self._missing() from None
                self._lost(error.__cause__)
        try:
            yield
        finally:
            if slot:
                try:
                    slot.__exit__(None, None, None)
                except httpx.HTTPError as error:
                    self._lost(error)

    def _enter(self) -> AbstractContextManager[None]:
        from prefect.concurrency.sync import concurrency

        slot = concurrency(
            self._limit,
            occupy=1,
            strict=True,  # a limit that does not exist would otherwise let everyone through
            timeout_seconds=_PATIENCE_S,
            lease_duration=_LEASE_S,
            raise_on_lease_renewal_failure=False,
        )
        slot.__enter__()
        return slot

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
