"""Being asked to stop (SIGTERM), at an instant at which nothing is lost."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM


class Interruption:
    """Whether this process was asked to stop.

    Attributes:
        asked: It was.
    """

    def __init__(self) -> None:
        self.asked = False
        self._holding = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """End the process on SIGTERM: at once, or within :meth:`held` when that is left.

        In threads other than the main one, to which no signals come, nothing happens.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def held(self) -> Iterator[None]:
        """For as long as :attr:`asked` is looked at from time to time."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        if not self._holding:
            raise SystemExit(EXIT_CODE)
