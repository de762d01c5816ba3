"""Processes that leave no orphans, and errors that people can read."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from models.errors import UserError
from tasks.settings import hush

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux; elsewhere nothing happens).

    A killed ``dvc repro`` leaves its stage running as an orphan, which could write while the next run does. If that
    happened before this call, as while the stage imported its libraries, it ends here.
    """
    _die_with(os.getppid())
    if (starter := os.environ.get(_STARTER)) and not _descends_from(int(starter)):
        os.kill(os.getpid(), signal.SIGKILL)


_STARTER = "VIDEOLOOP_STARTER"
"""Names the process that called :func:`run_child`, to all that come of the call."""


def _descends_from(ancestor: int) -> bool:
    import psutil  # a model that is served elsewhere comes without it

    return any(process.pid == ancestor for process in psutil.Process().parents())


def run_stage(main: Callable[[], object]) -> None:
    """Run a stage's main function as a process: quiet libraries, logs on stderr, no orphan.

    The file that ``VIDEOLOOP_RAN`` names tells the caller of ``dvc repro`` that the stage ran and was not skipped.

    A :class:`UserError` ends the process with its message and exit code 2, a full disk likewise.
    """
    die_with_parent()
    hush()
    if marker := os.environ.get("VIDEOLOOP_RAN"):
        Path(marker).touch()
    speak()
    raise SystemExit(readable(main))


def speak() -> None:
    """Show on stderr what our own modules log, and of the libraries only warnings.

    Nothing of Prefect: it writes to the terminal by itself, and would repeat a person's mistake with its trace.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_worth_showing)  # a library may set its own loggers' levels
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)


def _worth_showing(record: logging.LogRecord) -> bool:
    package = record.name.partition(".")[0]
    return package in _OWN or (record.levelno >= logging.WARNING and package != "prefect")


_OWN = ("__main__", "flows", "tasks", "models", "infra")


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
    1: "this is not permitted; grant it, or choose another place",
    13: "there is no permission; grant it, or choose another place",
    20: "a part of this path is a file and no folder; correct the path",
    21: "this is a folder, and a file is expected; correct the path",
    36: "this name is too long; choose a shorter one",
    28: "the disk is full; free some space and run the same command again: what was finished is kept",
    122: "the disk quota is used up; free some space and run the same command again: what was finished is kept",
    30: "the file system is read-only; choose a writable place",
}


def run_child(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> int:
    """Run ``command`` to its end in this terminal and return its exit code; it dies when this process dies.

    It stays in this process group, so that a signal from the terminal reaches it too.
    """
    parent = os.getpid()

    def bound() -> None:
        _die_with(parent)

    env = {**env, _STARTER: str(parent)}
    child = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, preexec_fn=bound)
    try:
        return child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise


def _die_with(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request was in place
        os.kill(os.getpid(), signal.SIGKILL)
