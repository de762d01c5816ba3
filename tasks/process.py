"""Processes that leave no orphans, and errors that people can read."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable

from models.errors import UserError
from tasks.settings import hush

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere nothing happens).

    A killed ``dvc repro`` leaves its stage running as an orphan, which could write while the next run does.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request was in place
        os.kill(os.getpid(), signal.SIGKILL)


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage's main function as a process: quiet libraries, logs on stderr, no orphan.

    A :class:`UserError` ends the process with its message and exit code 2, a full disk likewise.
    """
    die_with_parent()
    hush()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    raise SystemExit(readable(main))


def readable(main: Callable[[], object]) -> int:
    """Call ``main``; turn mistakes of a person into one sentence on stderr and exit code 2."""
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _PERSONS_ERRNOS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {_PERSONS_ERRNOS[error.errno]}{where}", file=sys.stderr)
        return 2
    return 0


_PERSONS_ERRNOS = {
    28: "the disk is full; free some space and run the same command again: what was finished is kept",
    122: "the disk quota is used up; free some space and run the same command again: what was finished is kept",
    30: "the file system is read-only; choose a writable place",
}
