"""Trials as processes: started with a specification, followed epoch by epoch, killed when they are pruned."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import Enum
from threading import Lock
from typing import IO, Any

from tasks.slots import StoppedError
from tasks.trial import Spec

Epoch = dict[str, Any]
"""The fields of :class:`models.loop.Epoch`, which would bring torch along."""

COMMAND = (sys.executable, "-m", "tasks.trial")
_REASON_LINES = 3


class End(Enum):
    """How a trial came to its end."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """How a trial went.

    Attributes:
        end: How it ended.
        epochs: What it reported.
        reason: Why it ended before its time; empty where it did not.
    """

    end: End
    epochs: list[Epoch]
    reason: str = ""


class Launcher:
    """Starts trials and can kill all of them at once.

    Args:
        command: What a trial is; tests put something quicker here.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = list(command)
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = Lock()

    def run(self, spec: Spec, on_epoch: Callable[[Epoch], bool]) -> Outcome:
        """Run a trial to its end in a process of its own.

        The process dies with the thread that calls this (that is what Linux means by the parent), so the thread stays
        until the process has ended.

        Args:
            spec: The job.
            on_epoch: Hears of each epoch; False prunes the trial, and its process is killed.

        Raises:
            StoppedError: :meth:`stop` was called.
        """
        epochs: list[Epoch] = []
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
            with self._process(spec, stderr) as process:
                assert process.stdout is not None
                for message in _messages(process.stdout):
                    if "diverged" in message:
                        return Outcome(End.PRUNED, epochs, message["diverged"])
                    if "failed" in message:
                        return Outcome(End.FAILED, epochs, message["failed"])
                    epochs.append(message)
                    if not on_epoch(message):
                        return Outcome(End.PRUNED, epochs, f"not promising after epoch {message['epoch']}")
                code = process.wait()
            if self._stopped:
                raise StoppedError
            if code == 0 and epochs:
                return Outcome(End.COMPLETE, epochs)
            return Outcome(End.FAILED, epochs, _why(code, stderr))

    def stop(self) -> None:
        """Kill what runs; nothing starts any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    @contextmanager
    def _process(self, spec: Spec, stderr: IO[str]) -> Iterator[subprocess.Popen[str]]:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as stdin:
            json.dump(asdict(spec), stdin)
            stdin.seek(0)
            with self._lock:
                if self._stopped:
                    raise StoppedError
                process = subprocess.Popen(
                    self._command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8"
                )
                self._running.add(process)
        with process:
            try:
                yield process
            finally:
                process.kill()
                with self._lock:
                    self._running.discard(process)


def _messages(stdout: IO[str]) -> Iterator[dict[str, Any]]:
    for line in stdout:
        try:
            yield json.loads(line)
        except ValueError:  # half a line of a process that was killed while it wrote
            continue


def _why(code: int, stderr: IO[str]) -> str:
    if code == -signal.SIGKILL:
        return "it was killed (signal 9), as the system does when memory runs out"
    stderr.seek(0)
    last = " | ".join(stderr.read().strip().splitlines()[-_REASON_LINES:])
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"it ended with {how}: {last or 'it said nothing'}"
