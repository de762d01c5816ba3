import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.video.clips import WHOLE, DecodedClip, Job, Limits, Reason, Recipe, Refused
from tasks.video.pool import decode_all
from tests.support.videos import pictures, write_video

RECIPE = Recipe(short_side=32, max_fps=10.0, jpeg_quality=90, min_duration_s=0.5, max_duration_s=20.0)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the guards are Linux's")

# What someone would try who had taken over a decoder.
ATTEMPTS = """
import json, os, resource, socket, subprocess, sys, threading
from pathlib import Path
from tasks.video.sandbox import confine
secret, pipe, parent = Path(sys.argv[1]), os.dup(1), os.getppid()
open_already = open(secret)
holds = confine(memory_gb=2.0)
def thread():
    started = threading.Thread(target=lambda: None)
    started.start()
    started.join()
attempts = {
    "socket": socket.socket,
    "local socket": lambda: socket.socket(socket.AF_UNIX),
    "program": lambda: subprocess.run(["true"]),
    "child": os.fork,
    "signal": lambda: os.kill(parent, 0),
    "read": secret.read_text,
    "list": lambda: os.listdir(secret.parent),
    "write": lambda: (secret.parent / "b").write_text("b"),
    "limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)),
    "memory": lambda: bytearray(3_000_000_000),
    "read what is open": open_already.read,
    "itself": lambda: os.kill(os.getpid(), 0),
    "thread": thread,
    "import": lambda: __import__("this"),
}
refused, done = [], []
for name, attempt in attempts.items():
    try:
        attempt()
        done.append(name)
    except (OSError, MemoryError, ValueError):
        refused.append(name)
os.write(pipe, b"\\n" + json.dumps([holds, refused, done]).encode())
"""


@linux
def test_whoever_takes_over_a_decoder_gets_at_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("secret")
    command = [sys.executable, "-c", ATTEMPTS, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, check=True)
    holds, refused, done_all_the_same = json.loads(done.stdout.splitlines()[-1])
    if not all(holds.values()):
        pytest.skip(f"this kernel or container forbids some guards: {holds}")
    expected = "socket, local socket, program, child, signal, read, list, write, limits, memory"
    assert ", ".join(refused) == expected
    assert ", ".join(done_all_the_same) == "read what is open, itself, thread, import"
    assert not (tmp_path / "b").exists()


@linux
def test_a_playlist_connects_to_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        lists = {
            "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n",
            "b.mp4": f"ffconcat version 1.0\nfile {address}\n",
            "c.mpd": f'<?xml version="1.0"?><MPD><Period><BaseURL>{address}</BaseURL></Period></MPD>',
            "d.asx": f'<asx><entry><ref href="{address}"/></entry></asx>',
        }
        for name, content in lists.items():
            (tmp_path / name).write_text(content)
        jobs = [Job(str(tmp_path / name), (WHOLE,), RECIPE) for name in lists]
        jobs.append(Job(address, (WHOLE,), RECIPE))
        outcomes = [outcome for (outcome,) in decode_all(jobs, num_workers=1)]
        with pytest.raises(BlockingIOError):
            server.accept()
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert reasons == [*[Reason.CONTAINER] * len(lists), Reason.FILE]


def test_a_video_that_needs_more_memory_than_it_may_have_is_refused(tmp_path: Path) -> None:
    shown = [np.zeros((4_000, 6_000, 3), np.uint8)] * 5
    path = write_video(tmp_path / "a.avi", shown, codec="mjpeg", pix_fmt="yuvj420p")
    small = Limits(memory_gb=0.28)
    jobs = [Job(str(path), (WHOLE,), RECIPE, small), Job(str(tmp_path / "b.mp4"), (WHOLE,), RECIPE, small)]
    write_video(tmp_path / "b.mp4", pictures(10))
    [refused], [clip] = decode_all(jobs, num_workers=1, memory_gb=small.memory_gb)
    assert isinstance(refused, Refused)
    assert (refused.reason, "ingest.limits.memory_gb (0.28)" in str(refused)) == (Reason.BUDGET, True)
    assert isinstance(clip, DecodedClip)
