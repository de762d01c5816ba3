"""Prefect's server may go away while a flow runs: one sentence for people, and an end in bounded time.

Prefect asks six times, for about a minute, before it gives up a change of a flow's state. Events and signs of life it
keeps until the process ends, and then tries about seven seconds for each of them: of a long round that takes an hour.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from models.errors import UserError

PATIENCE_S = 30.0
"""So long a process waits at its end for a server to take its last events."""


@contextmanager
def lost_server_in_words() -> Iterator[None]:
    """Turn a server that is gone into a sentence.

    Raises:
        UserError: Prefect's server does not answer.
    """
    import httpx

    try:
        yield
    except httpx.TransportError as error:
        where = os.environ.get("PREFECT_API_URL", "")
        raise UserError(
            f"Prefect's server at {where} does not answer any more ({error}); what was finished is kept: "
            "run `videoloop up`, and the same command goes on"
        ) from error


def leave(code: int, patience_s: float = PATIENCE_S) -> NoReturn:
    """End this process with ``code``; events that no server takes in ``patience_s`` are lost.

    Nothing depends on them: what the watch announces it posts itself, and results are in Git, DVC and MLflow.
    """
    worker = sys.modules.get("prefect.events.worker")
    if worker is not None:
        _, waiting = worker.EventsWorker.drain_all(timeout=patience_s)
        if waiting:
            print("Prefect's server does not answer; its record of this run lacks the last events", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # the interpreter's own end would wait for all of them
    raise SystemExit(code)
