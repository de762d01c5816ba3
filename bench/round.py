"""Seconds of a round by step, and what the frameworks cost when there is nothing to do: ``python -m bench.round``.

A temporary clone of this repository with servers of its own runs a round at debug sizes, where every stage runs and
none has work worth mentioning, and then the same round again, where none runs. ``--demo`` measures the round of
``make demo`` instead: params.yaml as it stands, on the demonstration's world.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe
from tests.support.clone import Clone, clone_in, steps_of

_PACKAGES = ("prefect", "dvc", "mlflow", "great-expectations", "optuna", "torch")
_MODULES = ("prefect", "mlflow", "great_expectations", "optuna", "torch")
_DEMO_WORKERS = 2


def main() -> None:
    """Run both rounds and print where their time went."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--demo", action="store_true", help="the demonstration's round instead of one at debug sizes"
    )
    demo = arguments.parse_args().demo
    print(describe(*_PACKAGES))
    with tempfile.TemporaryDirectory() as folder, clone_in(Path(folder), small=not demo) as clone:
        source = _world(clone, Path(folder) / "world") if demo else clone.source
        started_s = time.perf_counter()
        _checked(clone.videoloop("up"))
        print(f"\nservers started in {time.perf_counter() - started_s:.1f} s")
        _show("every stage runs", _measured(clone, source))
        _show("nothing has changed", _measured(clone, source))
    print(f"\n{'a fresh import of':32}{'s':>7}")
    for module in _MODULES:
        print(f"  {module:30}{_import_s(module):7.1f}")


@dataclass(frozen=True)
class _Round:
    steps: dict[str, float]
    seconds: dict[str, float]
    calls: dict[str, int]
    wall_s: float


def _world(clone: Clone, folder: Path) -> Path:
    _checked(clone.run(sys.executable, "-m", "infra.demo", folder, "--workers", str(_DEMO_WORKERS)))
    return folder / "clips.csv"


def _measured(clone: Clone, source: Path) -> _Round:
    servers = json.loads((clone.home / "servers.json").read_text())
    # `videoloop run` sets these once its servers are up; the ledger loads Prefect, which reads them, before.
    environment = {
        "PREFECT_API_URL": servers["prefect"]["url"],
        "PREFECT_HOME": str(clone.home / "prefect"),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }
    ledger = clone.home / "ledger.json"
    started_s = time.perf_counter()
    done = _checked(clone.run(sys.executable, "-m", "bench.ledger", ledger, source, **environment))
    wall_s = time.perf_counter() - started_s
    return _Round(**json.loads(ledger.read_text()), steps=steps_of(done.stdout), wall_s=wall_s)


def _checked(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    return done


def _show(title: str, measured: _Round) -> None:
    print(f"\n{title:32}{'s':>7}{'calls':>7}")
    for step, seconds in measured.steps.items():
        print(f"  {step:30}{seconds:7.1f}")
    print("of which, and around it")
    for part, seconds in measured.seconds.items():
        print(f"  {part:30}{seconds:7.1f}{measured.calls[part]:7}")
    around_s = measured.wall_s - sum(measured.seconds.values())
    print(f"  {'Python, imports, the table':30}{around_s:7.1f}")
    print(f"  {'in all':30}{measured.wall_s:7.1f}")


def _import_s(module: str) -> float:
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
