"""Trying again: which failures of S3 pass by themselves, how long one waits for them, and when one gives up."""

import logging
import random
import time
from threading import Event
from typing import TypeAlias

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's: no connection came about
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

logger = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 20.0
_TRIES_UNSAID = 5  # some three seconds
_BUSY = frozenset(("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"))
Failure: TypeAlias = BotoCoreError | ClientError | ResponseParserError | HTTPError
FAILURES = (BotoCoreError, ClientError, ResponseParserError, HTTPError)


class GaveUp(Exception):  # noqa: N818 - the end of a wait, not an error of the program
    """What was asked for did not come before the deadline; the message says what came instead."""


class Patience:
    """Waits between tries: a random time up to a bound that doubles, until nothing has moved for ``deadline_s``.

    Random waits keep many clients of a server that comes back from asking at the same moment ("full jitter", M.
    Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
    """

    def __init__(self, deadline_s: float, stopped: Event) -> None:
        """Begin to wait.

        Args:
            deadline_s: Seconds without progress after which to give up.
            stopped: Ends a wait at once.
        """
        self._deadline_s = deadline_s
        self._stopped = stopped
        self.progressed()

    def progressed(self) -> None:
        """Say that something moved."""
        self._tries = 0
        self._end_s = time.monotonic() + self._deadline_s

    def wait(self, failure: Failure) -> None:
        """Wait before the next try.

        Raises:
            GaveUp: The deadline has passed, or all is to stop.
            Exception: The ``failure`` itself, where waiting does not mend it.
        """
        if not passes(failure):
            raise failure
        bound_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0**self._tries)
        self._tries += 1
        left_s = self._end_s - time.monotonic()
        if self._tries == _TRIES_UNSAID and left_s > 0:
            logger.warning("S3 does not answer (%s); trying for %.0f s more", in_words(failure), left_s)
        if left_s <= 0 or self._stopped.wait(min(left_s, random.uniform(0.0, bound_s))):
            raise GaveUp(f"no answer for {self._deadline_s:g} s ({in_words(failure)})") from failure


def passes(failure: Failure) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(failure, ClientError):
        return status_of(failure) >= 500 or status_of(failure) == 429 or code_of(failure) in _BUSY
    if isinstance(failure, SSLError):
        return False
    return isinstance(failure, (ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError, HTTPError))


def status_of(failure: ClientError) -> int:
    """The HTTP status of an answer."""
    return int(failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(failure: ClientError) -> str:
    """S3's own word for what is wrong, such as ``NoSuchKey``; the status where an answer has no body."""
    return str(failure.response.get("Error", {}).get("Code", ""))


def in_words(failure: Failure) -> str:
    """The failure on one line."""
    if isinstance(failure, ClientError):
        return f"{status_of(failure)} {code_of(failure)}"
    return " ".join(str(failure).split())
