"""``videoloop run`` with a clock on every part: ``python -m bench.ledger OUT.json SOURCE``, in the checkout to measure.

The environment names the servers, which run already (see ``bench.round``).
"""

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from prefect import Task

from flows import cli, train
from tasks import repository, workspace


class Ledger:
    """Seconds and calls by part; what one part spends within another counts for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inner_s = [0.0]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block for ``name``."""
        started_s = time.perf_counter()
        self._inner_s.append(0.0)
        try:
            yield
        finally:
            elapsed_s = time.perf_counter() - started_s
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed_s - self._inner_s.pop()
            self.calls[name] = self.calls.get(name, 0) + 1
            self._inner_s[-1] += elapsed_s

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its calls counted for ``name``."""

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return timed


def main() -> None:
    """Put the clocks in, run the round, write the ledger."""
    out, source = Path(sys.argv[1]), sys.argv[2]
    ledger = Ledger()
    for module in (repository, workspace):
        module.git = ledger.timed("Git", repository.git)
    workspace.run_child = ledger.timed("DVC", workspace.run_child)
    workspace.checkout_results = ledger.timed("DVC", workspace.checkout_results)
    requests.Session.send = ledger.timed("MLflow requests", requests.Session.send)  # Prefect speaks through httpx
    for step in vars(train).values():
        if isinstance(step, Task):
            step.fn = ledger.timed("steps", step.fn)
    train.train = ledger.timed("Prefect engine", train.train)
    sys.argv = ["videoloop", "run", "--source", source]
    try:
        cli.main()
    finally:
        out.write_text(json.dumps({"seconds": ledger.seconds, "calls": ledger.calls}))


if __name__ == "__main__":
    main()
