"""Commands of a clone that are killed while they run, and what is left of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.support.clone import COMMAND, Clone

PATIENCE_S = 240


class Running:
    """A command of ours under way, in a process group of its own."""

    def __init__(self, clone: Clone, log: Path, *arguments: str | Path) -> None:
        self.clone = clone
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                cwd=clone.root,
                env=clone.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.kill(whole_group=True)

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def runs(self, module: str) -> bool:
        """Whether a process of the clone runs ``python -m module``."""
        return any(["-m", module] == process.info["cmdline"][1:3] for process in of_the_clone(self.clone))

    def wrote(self, pattern: str) -> bool:
        """Whether a file of the clone's home fits the pattern."""
        return any(self.clone.home.glob(pattern))

    def tracked(self, name: str) -> bool:
        """Whether MLflow has a run of that name."""
        return name in [run["run_name"] for run in self.clone.mlflow_runs()]

    def wait_for(self, reached: Callable[["Running"], bool]) -> None:
        """Wait until it is ``reached``, which must be before the command ends."""

        def alive_and_reached() -> bool:
            there = reached(self)
            assert there or self.process.poll() is None, f"it ended before it could be killed:\n{self.said}"
            return there

        wait_until(alive_and_reached, lambda: self.said)

    def wait_for_end(self) -> None:
        """Wait until it has ended well."""
        assert self.process.wait(timeout=PATIENCE_S) == 0, self.said

    def kill(self, *, whole_group: bool) -> None:
        (os.killpg if whole_group else os.kill)(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL, f"it had ended before it was killed:\n{self.said}"


def wait_until(reached: Callable[[], bool], say: Callable[[], str]) -> None:
    """Wait until it is ``reached``, and fail with what ``say`` gives where that takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, say()
        time.sleep(0.05)


def of_the_clone(clone: Clone) -> list[psutil.Process]:
    """Processes that work in the clone, but for its servers."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd", "status"]):
        here = str(process.info["cwd"] or "").startswith(str(clone.root))
        served = process.info["cwd"] == str(clone.home)
        if here and not served and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def orphans(clone: Clone) -> list[str]:
    """What is left of a killed command once what was about to die has died."""
    deadline = time.monotonic() + 60
    while (left := of_the_clone(clone)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [" ".join(process.info["cmdline"]) for process in left]
