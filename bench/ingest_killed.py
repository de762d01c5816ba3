"""Whether ingest and push, killed at random instants, end as if nothing had been: ``python -m bench.ingest_killed``.

A bucket of films is ingested into a dataset, which ``dvc add`` and ``dvc push`` bring to another bucket. First
undisturbed, and its time is taken; then killed (SIGKILL) after a random share of that time and started again, until it
ends before its kill. The dataset must then be that of the undisturbed ingest, to the byte, and so must a ``dvc pull``
into another clone; the remote must hold each file once. Libraries are imported before the instants are drawn, so that
kills hit work.
"""

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dvc.repo.push  # noqa: F401 - what a command would import
from dvc.cli import main as run_dvc

from bench.machine import describe
from tests.support.buckets import content_of, demand_whole, fill, forked, take
from tests.support.s3 import ENVIRONMENT, client_of, moto_server

_REMOTE = "remote"


def main() -> None:
    """Run, kill, compare; the exit code says whether all lives ended alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ.update({**ENVIRONMENT, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1"})
    print(describe("dvc", "boto3", "moto"), flush=True)
    instants = random.Random(arguments.seed)
    lives, equal, kills, at_ingest = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with moto_server(folder) as server:
            os.environ["AWS_ENDPOINT_URL_S3"] = server
            client = client_of(server)
            num_films = fill(client, folder)
            client.create_bucket(Bucket=_REMOTE)
            undisturbed = _clone(folder / "undisturbed", server, "undisturbed")
            started = time.monotonic()
            _wait(forked(lambda: _live(undisturbed)))
            lasted_s = time.monotonic() - started
            wanted, pushed = content_of(folder / "undisturbed" / "data"), _held(client, "undisturbed")
            while kills < arguments.kills:
                lives += 1
                clone = _clone(folder / f"life-{lives}", server, f"life-{lives}")
                while True:
                    child = forked(lambda: _live(clone))  # noqa: B023
                    if _ends_within(child, instants.uniform(0.0, lasted_s)):
                        break
                    at_ingest += not (clone / "data.dvc").exists()
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    kills += 1
                demand_whole(clone / "data", num_films)
                pulled = _clone(folder / "pulled", server, f"life-{lives}")
                shutil.copy(clone / "data.dvc", pulled)
                subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet"], cwd=pulled, check=True)
                equal += (
                    content_of(clone / "data") == wanted
                    and content_of(pulled / "data") == wanted
                    and _held(client, f"life-{lives}") == pushed
                )
                shutil.rmtree(clone)
                shutil.rmtree(pulled)
                print(f"{kills} kills in {lives} lives, {equal} as undisturbed", flush=True)
    print(
        f"{kills} kills ({at_ingest} before `dvc add` had ended) in lives of {lasted_s:.1f} s: {equal} of {lives} "
        "datasets, and what was pulled of them, have the bytes of the undisturbed one"
    )
    raise SystemExit(equal != lives)


def _clone(folder: Path, server: str, prefix: str) -> Path:
    folder.mkdir()
    for command in (
        ["init", "--no-scm", "--quiet"],
        ["remote", "add", "--quiet", "--default", "store", f"s3://{_REMOTE}/{prefix}"],
        ["remote", "modify", "--quiet", "store", "endpointurl", server],
    ):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=folder, check=True)
    return folder


def _live(clone: Path) -> None:
    os.chdir(clone)
    take(clone / "data")
    for command in (["add", "--quiet", "data"], ["push", "--quiet"]):
        if run_dvc(command):
            raise SystemExit(1)


def _ends_within(child: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit(f"a life ended with status {status}")
            return True
        time.sleep(0.01)
    return False


def _wait(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the undisturbed life failed")


def _held(client: Any, prefix: str) -> list[tuple[str, int]]:
    """What the remote holds for one life: names and sizes."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=_REMOTE, Prefix=f"{prefix}/")
    entries = [entry for page in pages for entry in page.get("Contents", ())]
    return sorted((entry["Key"].removeprefix(prefix), entry["Size"]) for entry in entries)


if __name__ == "__main__":
    main()
