"""What a manifest of 10,000, 100,000 and 1,000,000 clips costs in every stage: ``python -m bench.million``.

Each part runs in a process of its own. Seconds are the processor's, of the part alone, so that what else the machine
does counts little. Memory is the most that the process took, imports included. ``growth`` is the exponent from the
smallest to the largest: 1 is linear.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from bench.machine import describe
from bench.rows import RECIPE, World, embedded, write_world
from models.clips.manifest import read_manifest, write_manifest

_Part = Callable[[World], Callable[[], object]]
"""Prepares, and returns what is measured."""


def main() -> None:
    """Measure every part at every size, or as a child one part at one size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), metavar="PART")
    parser.add_argument("--folder", type=Path, help="keeps the datasets for the next time")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measured(_PARTS[options.parts[0]](World(options.child)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(options.folder or Path(folder), options.rows, options.parts)


def _compare(folder: Path, sizes: list[int], parts: list[str]) -> None:
    print(describe("pandas", "pyarrow", "great_expectations"))
    worlds = [write_world(folder / str(rows), rows) for rows in sizes]
    print(f"{'':34}" + "".join(f"{rows:>12,} rows    " for rows in sizes) + "   growth")
    for part in parts:
        found = [_in_child(part, world) for world in worlds]
        cells = "".join(f"{seconds:>10.2f} s {memory_mb:>6.0f} MB" for seconds, memory_mb in found)
        print(f"{part:34}{cells}{_growth(sizes, [seconds for seconds, _ in found]):>9}", flush=True)


def _in_child(part: str, world: World) -> tuple[float, float]:
    home = world.folder / "home"
    done = subprocess.run(
        [sys.executable, "-m", "bench.million", "--child", str(world.folder), "--parts", part],
        check=True, capture_output=True, text=True, env={**os.environ, "VIDEOLOOP_HOME": str(home)},
    )  # fmt: skip
    seconds, memory_mb = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory_mb


def _measured(part: Callable[[], object]) -> tuple[float, float]:
    started_s = time.process_time()
    part()
    return time.process_time() - started_s, _peak_mb()


def _peak_mb() -> float:
    """Of this program alone; what ``getrusage`` says begins with what its parent took."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _growth(sizes: list[int], seconds: list[float]) -> str:
    if len(sizes) < 2:
        return ""
    return f"{math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0]):.2f}"


def _source_table(world: World) -> Callable[[], object]:
    from tasks.video.sources import read_claims

    return lambda: read_claims(world.table)


def _label_table(world: World) -> Callable[[], object]:
    from tasks.dataset import labelled
    from tasks.labelling.table import read_label_table

    clips = _manifest(world)
    return lambda: labelled(clips, clips, read_label_table(world.labels))


def _splits(by: str, *, whole_files: bool = False, kept: float = 0.0) -> _Part:
    def part(world: World) -> Callable[[], object]:
        from tasks.dataset import settled
        from tasks.params.data import SplitParams

        clips = _manifest(world)
        unit = "source_id" if by == "source" else "clip_id"
        if whole_files:
            clips["source_id"] = clips["clip_id"]
        units = clips.drop_duplicates(unit)
        units = units[units[unit].map(hash) % 100 < 100 * kept]
        stays = dict(zip(units[unit], units["split"], strict=True))
        return lambda: settled(clips.assign(split=None), stays, SplitParams.model_validate({"by": by}), 0)

    return part


def _join(world: World) -> Callable[[], object]:
    from tasks.dataset import together

    clips = _manifest(world)
    new = clips.head(len(clips) // 100)
    return lambda: together(clips, new)


def _shelf(world: World) -> Callable[[], object]:
    from tasks.video.shelf import Shelf

    return lambda: Shelf(world.data / "shards", RECIPE, 128, {})


def _write(world: World) -> Callable[[], object]:
    clips = _manifest(world)
    return lambda: write_manifest(clips, world.folder / "written.parquet")


def _read(world: World) -> Callable[[], object]:
    return lambda: _manifest(world)


def _validate(*, passed: float) -> _Part:
    """With clips of the share ``passed`` of all shards in the memory."""

    def part(world: World) -> Callable[[], object]:
        import tasks.validation.docs  # noqa: F401 - Great Expectations is imported once, and takes what it takes
        from tasks import validate
        from tasks.params.data import SplitParams, ValidateParams
        from tasks.params.whole import BaseParams
        from tasks.settings import settings
        from tasks.validation.memory import Memory

        out, params, shards = world.folder / "results", ValidateParams(), world.data / "shards"
        shutil.rmtree(settings().home / "validated", ignore_errors=True)
        clips = _manifest(world)
        fresh = sorted(clips["shard"].unique())[: round((1.0 - passed) * clips["shard"].nunique())]
        memory = Memory(settings().home / "validated", params, clips, shards)
        memory.keep(np.flatnonzero(clips["shard"].isin(fresh)))
        return lambda: validate.validate(
            BaseParams(name="bench"), params, SplitParams(), data=world.data,
            summary=out / "summary.json", data_docs=out / "data_docs",
        )  # fmt: skip

    return part


def _training(world: World) -> Callable[[], object]:
    from models.champion import Champion
    from models.spec import ContinualParams
    from tasks.training_clips import training_clips

    clips = _manifest(world)
    known = clips.loc[clips["label"].notna() & (clips["start_s"] < 180), "clip_id"]
    champion = Champion(None, sorted(clips["label"].unique()), frozenset(known))  # type: ignore[arg-type]
    return lambda: training_clips(world.data, ContinualParams(), champion, seed=0)


def _choice(world: World) -> Callable[[], object]:
    from tasks.labelling.choose import choose

    clips = _manifest(world)
    embedding_ND, probability_NK = embedded(len(clips), 64)
    num_open = len(clips) // 10
    return lambda: choose(
        embedding_ND[:num_open], probability_NK[:num_open], clips["source_id"][:num_open].to_numpy(),
        budget=60, labelled_MD=embedding_ND[num_open:],
    )  # fmt: skip


def _watch(world: World) -> Callable[[], object]:
    from types import SimpleNamespace

    from tasks.watch.incoming import came_in
    from tasks.watch.place import incoming_folder

    folder = incoming_folder(RECIPE)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.parquet").unlink(missing_ok=True)
    (folder / "manifest.parquet").symlink_to(world.data / "manifest.parquet")
    return lambda: came_in(SimpleNamespace(recipe=RECIPE), datetime.now(UTC))  # type: ignore[arg-type]


def _manifest(world: World) -> pd.DataFrame:
    return read_manifest(world.data / "manifest.parquet")


_PARTS: dict[str, _Part] = {
    "read a source's table": _source_table,
    "labels of people": _label_table,
    "split by source": _splits("source"),
    "split by source, 99% kept": _splits("source", kept=0.99),
    "split, every clip a source": _splits("source", whole_files=True),
    "split by time": _splits("time"),
    "split by time, 99% kept": _splits("time", kept=0.99),
    "known clips and 1% new": _join,
    "find stored clips in shards": _shelf,
    "write the manifest": _write,
    "read the manifest": _read,
    "validate": _validate(passed=0.0),
    "validate, 1% new": _validate(passed=0.99),
    "choose clips to train on": _training,
    "choose clips to label": _choice,
    "the watch reads what came in": _watch,
}


if __name__ == "__main__":
    main()
