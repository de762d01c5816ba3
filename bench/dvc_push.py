"""``dvc push`` of a dataset, and of its next version with 1% more clips: ``python -m bench.dvc_push``.

Shards as ingest packs them, beside the same frames with one file a clip: seconds, objects and megabytes that reach the
remote, a folder or an S3 server (moto) on this machine. Then what a year of small batches comes to, by the sizes alone.
"""

import argparse
import itertools
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import numpy as np
from moto.server import ThreadedMotoServer

from bench.machine import describe
from tasks.video.clips import DecodedClip, Facts, Recipe
from tasks.video.compaction import due
from tasks.video.shelf import Shelf

_RECIPE = Recipe(short_side=128, max_fps=15, jpeg_quality=90, min_duration_s=0.5, max_duration_s=30)
_PER_SHARD = 128
_FRAMES, _FRAME_BYTES = 16, 3_000


def main() -> None:
    """Make the datasets, push them, print a line for each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, default=5_000)
    num_clips = arguments.parse_args().clips
    print(describe("dvc", "dvc-s3", "moto"), flush=True)
    print(f"{num_clips} clips of {_FRAMES * _FRAME_BYTES // 1000} kB, then {num_clips // 100} more", flush=True)
    print(f"{'':38}{'add s':>8}{'push s':>8}{'objects':>9}{'MB':>8}{'+1%:':>7}{'add s':>8}{'push s':>8}{'objects':>9}"
          f"{'MB':>8}", flush=True)  # fmt: skip
    logging.disable(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        os.environ |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "a", "AWS_DEFAULT_REGION": "us-east-1"}
        for remote, (layout, write) in itertools.product(("folder", "S3"), _LAYOUTS.items()):
            place = Path(folder) / remote / write.__name__
            _measure(f"{layout}, {remote}", place, write, num_clips, endpoint if remote == "S3" else None)
    server.stop()
    for batch in (1, 10, 50):
        _grow(num_clips, batch)


def _measure(
    name: str, place: Path, write: Callable[[Path, range], None], num_clips: int, endpoint: str | None
) -> None:
    repository = _repository(place, endpoint)
    seen = (0, 0)
    line = f"{name:38}"
    for start, stop in ((0, num_clips), (num_clips, num_clips + num_clips // 100)):
        write(repository / "data", range(start, stop))
        add_s, push_s = (_timed(repository, *command) for command in (("add", "data"), ("push",)))
        there = _stored(place, endpoint)
        line += f"{add_s:8.1f}{push_s:8.1f}{there[0] - seen[0]:9}{(there[1] - seen[1]) / 1e6:8.1f}"
        line += " " * 7 if start == 0 else ""
        seen = there
    print(line, flush=True)


def _shards(data: Path, numbers: range) -> None:
    shelf = Shelf(data / "shards", _RECIPE, _PER_SHARD, {})
    for number in numbers:
        times_s = [frame / 15 for frame in range(_FRAMES)]
        facts = Facts(0.0, 1.0, "h264", 320, 240, 15.0, 0, 100.0, 40.0, 10.0, 2.0)
        shelf.add(f"{number:032x}", DecodedClip(facts, 171, 128, times_s, _frames(number)))
    shelf.flush()


def _file_per_clip(data: Path, numbers: range) -> None:
    (data / "clips").mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (data / "clips" / f"{number:032x}.bin").write_bytes(b"".join(_frames(number)))


_LAYOUTS = {"shards": _shards, "a file a clip": _file_per_clip}


def _frames(number: int) -> list[bytes]:
    rng = np.random.default_rng(number)
    return [rng.bytes(_FRAME_BYTES) for _ in range(_FRAMES)]


def _repository(place: Path, endpoint: str | None) -> Path:
    root = place / "repository"
    root.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    bucket = _bucket(place)
    where = f"s3://{bucket}" if endpoint else str(place / "remote")
    commands = [["init", "--quiet"], ["config", "core.analytics", "false"], ["config", "core.check_update", "false"]]
    commands += [["config", "cache.type", "hardlink,symlink,copy"], ["remote", "add", "--default", "there", where]]
    if endpoint:
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
        commands.append(["remote", "modify", "there", "endpointurl", endpoint])
    for command in commands:
        _timed(root, *command)
    return root


def _bucket(place: Path) -> str:
    return place.name.strip("_").replace("_", "-")


def _timed(root: Path, *command: str) -> float:
    start_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"dvc {' '.join(command)}: {done.stderr}")
    return time.perf_counter() - start_s


def _stored(place: Path, endpoint: str | None) -> tuple[int, int]:
    sizes = _sizes_on_s3(_bucket(place), endpoint) if endpoint else _sizes_in(place / "remote")
    found = list(sizes)
    return len(found), sum(found)


def _sizes_in(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sizes_on_s3(bucket: str, endpoint: str) -> Iterator[int]:
    pages = boto3.client("s3", endpoint_url=endpoint).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return (entry["Size"] for page in pages for entry in page.get("Contents", []))


def _grow(num_clips: int, batch: int, num_batches: int = 365) -> None:
    """What is written when so many clips come in ``num_batches`` times, as a multiple of the clips themselves."""
    sizes = {f"first-{number}": 1.0 for number in range(num_clips // _PER_SHARD)}
    written = 0.0
    for number in range(num_batches):
        sizes[f"batch-{number:04}"] = batch / _PER_SHARD
        written += batch / _PER_SHARD
        for merge in itertools.count():
            if not (shards := due(sizes)):
                break
            total = sum(sizes.pop(shard) for shard in shards)
            written += total
            parts = [1.0] * int(total) + ([total % 1] if total % 1 else [])
            sizes |= {f"merged-{number:04}-{merge}-{part}": size for part, size in enumerate(parts)}
    small = sum(size < 1 for size in sizes.values())
    print(f"{num_batches} batches of {batch} clips: {small} small shards (without merging {num_batches}), "
          f"{written / (num_batches * batch / _PER_SHARD):.2f} times their bytes written", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
