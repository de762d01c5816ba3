"""Many tiny clips from files to a trained model, stage by stage: ``python -m bench.twenty_thousand [--clips 20000]``.

Half a second of 64x48 video a clip, each a file; 8 classes, 100 clips a source. Every stage runs as DVC runs it, at
debug sizes, in a workspace of its own. Seconds are the wall's and the processor's, of all its processes; memory is the
most that one of them took.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from bench.machine import describe
from bench.video import write_video

_NUM_LABELS, _CLIPS_PER_SOURCE = 8, 100
_PARAMS = {
    "base": {"name": "bench"},
    "ingest": {"short_side": 48, "max_fps": 12, "min_duration_s": 0.2},
    "validate": {"short_side_px": [16, 4320]},
    "model": {"family": "c3d", "flavour": "debug"},
    "search": {"trials": 1, "job": {"method": "head", "epochs": 1}},
    "fine_tune": {"method": "head", "epochs": 1},
}
_STAGES = ("validate", "pretrain", "search", "fine_tune")


def main() -> None:
    """Make the files, run every stage, print what each took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clips", type=int, default=20_000)
    num_clips = arguments.parse_args().clips
    print(describe("av", "torch", "great_expectations"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _source(folder / "source", num_clips)
        (folder / "params.yaml").write_text(yaml.safe_dump(_PARAMS), encoding="utf-8")
        shutil.copy("champion.json", folder)  # which names no champion
        print(f"{num_clips:,} clips{'':14}{'s':>9}{'CPU s':>9}{'MB':>7}")
        _run(folder, "ingest", str(source))
        for stage in _STAGES:
            _run(folder, stage)


def _source(folder: Path, num_clips: int) -> Path:
    for number in range(num_clips):
        source, label = divmod(number % (num_clips // _CLIPS_PER_SOURCE * _NUM_LABELS), _NUM_LABELS)
        path = folder / f"action-{label}" / f"camera-{source}" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, 64, 48, 12, 0.5, seed=number)
    return folder


def _run(folder: Path, stage: str, *arguments: str) -> None:
    started_s = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "VIDEOLOOP_HOME": str(folder / "home")}
    with (folder / f"{stage}.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, "-m", f"tasks.{stage}", *arguments]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started_s
    if process.returncode:
        raise RuntimeError(f"{stage} failed: {(folder / f'{stage}.log').read_text(encoding='utf-8')[-2000:]}")
    print(f"{stage:26}{wall_s:9.1f}{used.ru_utime + used.ru_stime:9.1f}{used.ru_maxrss / 1024:7.0f}", flush=True)


if __name__ == "__main__":
    main()
