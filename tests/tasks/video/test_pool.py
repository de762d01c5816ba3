import shutil
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tasks.video import pool
from tasks.video.clips import WHOLE, DecodedClip, Job, Limits, Reason, Recipe, Refused, Segment
from tests.support.videos import pictures, write_video

RECIPE = Recipe(short_side=32, max_fps=10.0, jpeg_quality=90, min_duration_s=0.5, max_duration_s=20.0)
_LIMITS = Limits()

# A worker like the real one, but for what it does with files of certain names.
FAKE_WORKER = """
import ctypes, os, sys, time
import tasks.video.worker as worker
def decode(descriptor, job):
    name = os.path.basename(job.path)
    if "crash" in name:
        ctypes.string_at(0)
    if "hang" in name:
        time.sleep(600)
    if "garble" in name:
        os.write(int(os.environ["ANSWERS"]), b"{not an answer\\n")
    if "memory" in name:
        raise MemoryError
    return real(descriptor, job)
real, worker.decode_open = worker.decode_open, decode
real_dup = os.dup
def dup(fd):
    os.environ["ANSWERS"] = str(real_dup(fd))
    return int(os.environ["ANSWERS"])
os.dup = dup
worker.main()
"""


def job(path: Path | str, *segments: Segment, limits: Limits = _LIMITS) -> Job:
    return Job(str(path), segments or (WHOLE,), RECIPE, limits)


@pytest.fixture
def fake_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_COMMAND", [sys.executable, "-c", FAKE_WORKER])


@pytest.mark.parametrize("ahead_bytes", [0, 64 << 20])
def test_outcomes_come_in_order_however_many_workers_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_bytes: int
) -> None:
    monkeypatch.setattr(pool, "AHEAD_BYTES", ahead_bytes)
    jobs = [job(write_video(tmp_path / f"{n}.mp4", pictures(5 + 3 * n, seed=n))) for n in range(7)]
    jobs.insert(3, job(tmp_path / "missing.mp4"))
    alone, together = ([*pool.decode_all(jobs, num_workers=number)] for number in (1, 3))
    kinds = [type(outcome) for outcomes in alone for outcome in outcomes]
    assert kinds == [DecodedClip] * 3 + [Refused] + [DecodedClip] * 4
    for one, other in zip(alone, together, strict=True):
        assert str(one) == str(other)


def test_all_segments_of_a_job_have_an_outcome(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(30))
    [outcomes] = pool.decode_all([job(path, Segment(0.0, 1.0), Segment(1.0, 9.0), Segment(2.0, 3.0))])
    assert [isinstance(outcome, DecodedClip) for outcome in outcomes] == [True, False, True]


@pytest.mark.usefixtures("fake_worker")
@pytest.mark.parametrize(
    ("name", "message", "reason", "lasting"),
    [
        ("crash", "crashed the decoder", Reason.CRASH, False),
        ("garble", "crashed the decoder", Reason.CRASH, False),
        ("memory", "needs more", Reason.BUDGET, True),
    ],
)
def test_a_file_that_breaks_its_worker_is_refused_and_the_others_are_not(
    tmp_path: Path, name: str, message: str, reason: Reason, lasting: bool
) -> None:
    good = write_video(tmp_path / "good.mp4", pictures(10))
    bad = Path(shutil.copy(good, tmp_path / f"{name}.mp4"))
    outcomes = [*pool.decode_all([job(good), job(bad), job(good), job(good)], num_workers=1)]
    assert [isinstance(outcome, DecodedClip) for [outcome] in outcomes] == [True, False, True, True]
    [refused] = outcomes[1]
    assert isinstance(refused, Refused)
    assert message in str(refused)
    # What broke the worker may not break the next one.
    assert (refused.reason, refused.lasting) == (reason, lasting)


@pytest.mark.usefixtures("fake_worker")
def test_a_file_that_hangs_is_given_up(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4", pictures(10))
    limits = Limits(timeout_s=1.0, timeout_per_s=0.0)
    hangs = job(shutil.copy(good, tmp_path / "hang.mp4"), limits=limits)
    [[refused], [clip]] = pool.decode_all([hangs, job(good)], num_workers=1)
    assert str(refused) == "took more than 1 s to decode"
    assert isinstance(clip, DecodedClip)


@pytest.mark.usefixtures("fake_worker")
def test_whoever_stops_early_leaves_no_process(tmp_path: Path) -> None:
    good = write_video(tmp_path / "good.mp4", pictures(10))
    before = set(psutil.Process().children())
    hangs = job(shutil.copy(good, tmp_path / "hang.mp4"))
    outcomes = pool.decode_all([job(good), hangs, hangs], num_workers=2)
    next(outcomes)
    assert set(psutil.Process().children()) > before
    outcomes.close()
    assert set(psutil.Process().children()) <= before


def test_a_worker_that_was_killed_while_it_waited_costs_no_file(tmp_path: Path) -> None:
    good = job(write_video(tmp_path / "good.mp4", pictures(10)))
    decoding = pool.DecodingPool(1)
    with closing(decoding):
        before = {*psutil.Process().children()}
        decoding.submit(good).result()
        [worker] = {*psutil.Process().children()} - before
        worker.kill()
        psutil.wait_procs([worker])
        [outcome] = decoding.submit(good).result()
    assert isinstance(outcome, DecodedClip)


def test_time_that_runs_out_as_the_last_answer_comes_costs_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = job(write_video(tmp_path / "good.mp4", pictures(10)))

    class Late(threading.Timer):
        def cancel(self) -> None:
            self.function()
            super().cancel()

    decoding = pool.DecodingPool(1)
    with closing(decoding):
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Timer", Late)
            outcomes = [*decoding.submit(good).result()]
        outcomes += decoding.submit(good).result()
    assert [type(outcome) for outcome in outcomes] == [DecodedClip, DecodedClip]


def test_a_worker_that_does_not_start_is_an_error_and_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_COMMAND", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(RuntimeError, match="does not start \\(exit code 3\\)"):
        next(pool.decode_all([job(write_video(tmp_path / "a.mp4", pictures(10)))]))


def test_a_worker_ends_with_its_input() -> None:
    ours, its = socket.socketpair()
    ours.close()
    with its:
        command = [sys.executable, "-m", "tasks.video.worker", "4"]
        done = subprocess.run(command, stdin=its, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"ready\n")
