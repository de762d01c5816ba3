"""Whether a job that is killed at random instants ends with the same bytes: ``python -m bench.resume --kills 20``.

A small job runs undisturbed, and its time is taken. Then another of the same is killed (SIGKILL) after a random share
of that time, from importing its libraries to writing its weights, and started again, until it was killed as often as
asked; what ended before it was killed begins anew. Weights and learning curve must be those of the first.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import describe
from tests.support.dataset import write_dataset


def main() -> None:
    """Run, kill, compare; the exit code says whether all ended alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    arguments = parser.parse_args()
    print(describe("torch"), flush=True)
    instants = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = write_dataset(folder / "data", ("left", "right", "up"), 4)
        started = time.monotonic()
        _start(data, folder / "undisturbed").wait()
        lasted_s = time.monotonic() - started
        wanted = (folder / "undisturbed" / "out").read_text()
        ended, equal, kills = 0, 0, 0
        home = folder / "killed"
        while kills < arguments.kills or home.exists():
            process = _start(data, home)
            try:
                process.wait(instants.uniform(0.0, lasted_s) if kills < arguments.kills else None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                print(f"\rkilled {kills} times", end="", flush=True)
                continue
            ended += 1
            equal += (home / "out").read_text() == wanted
            shutil.rmtree(home)
        print(f"\n{kills} kills within jobs of {lasted_s:.0f} s: {equal} of {ended} that ended have the same bytes")
    raise SystemExit(equal != ended)


def _start(data: Path, home: Path) -> subprocess.Popen[bytes]:
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.jobs", str(data), str(home), str(home / "out")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
