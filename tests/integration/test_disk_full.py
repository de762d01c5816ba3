"""Ingest on a disk that is too small: a sentence, nothing torn, and what was finished stands when there is room."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.videos import pictures, write_video

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
# Runs in a mount namespace of its own: a disk of a few pages, which gets more after each attempt.
ATTEMPTS = """
import subprocess, sys
from pathlib import Path
from models.clips.shards import verify_shard
from tasks.ingest import ingest
from tasks.params.data import IngestParams
from tasks.process import readable
from tests.support.buckets import content_of

source, disk, straight = map(Path, sys.argv[1:])
params = IngestParams(short_side=48, max_fps=10, min_duration_s=0.5, max_duration_s=5, clips_per_shard=2)

def take(data):
    return readable(lambda: ingest(source, data, params, None, seed=0, num_workers=1))

assert take(straight) == 0
wanted = content_of(straight)
total_kib = sum(map(len, wanted.values())) // 1024
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk], check=True)
stood = set()
for share in (0.5, 0.9, 3.0):
    subprocess.run(["mount", "-o", f"remount,size={int(share * total_kib)}k", disk], check=True)
    code = take(disk / "data")
    shards = set((disk / "data" / "shards").iterdir())
    whole = {path for path in shards if path.suffix == ".arrow"}
    assert all(map(verify_shard, whole)) and stood <= whole
    print(share, code, len(whole), len(shards - whole), (disk / "data" / "manifest.parquet").exists())
    stood = whole
assert content_of(disk / "data") == wanted
"""


def test_the_sentence_the_stop_and_the_second_start(tmp_path: Path) -> None:
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    disk = tmp_path / "disk"
    disk.mkdir()
    trial = subprocess.run([*apart, "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True, text=True)
    if trial.returncode:
        pytest.skip(f"no disk of its own can be mounted here: {trial.stderr.strip()}")
    for number in range(8):
        write_video(tmp_path / "source" / "walk" / f"cam{number}" / "1.mp4", pictures(10, 96, 72, seed=number))
    command = [*apart, sys.executable, "-c", ATTEMPTS, tmp_path / "source", disk, tmp_path / "straight"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, last = (line.split() for line in done.stdout.splitlines())
    assert (first[1], second[1], last[1]) == ("2", "2", "0"), done.stdout
    assert 0 < int(first[2]) < int(second[2]) <= int(last[2]), done.stdout
    assert (first[3:], second[3:], last[3:]) == (["0", "False"], ["0", "False"], ["0", "True"]), done.stdout
    sentences = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    said = "error: the disk is full; free some space and run the same command again: what was finished is kept"
    assert len(sentences) == 2
    assert all(sentence.startswith(said) for sentence in sentences), done.stderr
    assert "Traceback" not in done.stderr
