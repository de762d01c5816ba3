"""Decodes many files side by side, each in a process that may crash or hang without harm to the others."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

import tasks
from tasks.video.clips import DecodedClip, Job, Refused
from tasks.video.protocol import READY, Garbled, receive_outcome, send_job

_ROOT = Path(tasks.__file__).parents[1]
_BASE_TIMEOUT_S = 60.0
_TIMEOUT_PER_SECOND = 4.0
_JOBS_AHEAD = 3
_COMMAND = [sys.executable, "-m", "tasks.video.worker"]
Outcomes = list[DecodedClip | Refused]
_CRASH = "crashed the decoder"


def decode_all(jobs: Iterable[Job], *, num_workers: int | None = None) -> Generator[Outcomes, None, None]:
    """Decode ``jobs`` in worker processes.

    Args:
        jobs: Files and their segments; read only as far ahead as keeps the workers busy.
        num_workers: Processes; default: one a CPU.

    Yields:
        The outcomes of each job's segments, in the order of ``jobs`` however many workers there are.
    """
    pool = DecodingPool(num_workers)
    pending: deque[Future[Outcomes]] = deque()
    remaining = iter(jobs)
    try:
        pending.extend(pool.submit(job) for job in islice(remaining, _JOBS_AHEAD * pool.num_workers))
        while pending:
            outcomes = pending.popleft().result()
            pending.extend(pool.submit(job) for job in islice(remaining, 1))
            yield outcomes
    finally:
        pool.close()


class DecodingPool:
    """Worker processes that wait for jobs; each starts with the first job that needs it, or with :meth:`start`.

    Attributes:
        num_workers: Processes, at most.
    """

    def __init__(self, num_workers: int | None = None, *, time_limit_s: float | None = None) -> None:
        """Make a pool.

        Args:
            num_workers: Processes; default: one a CPU.
            time_limit_s: After which a job is given up; default: by the duration that it asks for.
        """
        self.num_workers = num_workers or len(os.sched_getaffinity(0))
        self._workers = _Workers(time_limit_s)
        self._executor = ThreadPoolExecutor(self.num_workers, thread_name_prefix="decode")

    def start(self) -> None:
        """Begin to start all processes, so that the first jobs need not wait."""
        for _ in range(self.num_workers):
            self._executor.submit(self._workers.begin)

    def submit(self, job: Job) -> Future[Outcomes]:
        """The outcomes of the job's segments, when they are there."""
        return self._executor.submit(self._workers.run, job)

    def close(self) -> None:
        """Kill the processes; jobs that wait are cancelled."""
        self._workers.kill_all()
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Workers:
    """One worker process for each thread that asks; replaced when it dies."""

    def __init__(self, time_limit_s: float | None) -> None:
        self._time_limit_s = time_limit_s
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def begin(self) -> None:
        """Start the process of this thread."""
        self._process()

    def run(self, job: Job) -> Outcomes:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        timed_out = threading.Event()
        limit_s = self._time_limit_s or _time_limit_s(job)

        def expire() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(limit_s, expire)
        timer.start()
        outcomes: Outcomes = []
        try:
            send_job(process.stdin, job)
            for _ in job.segments:
                outcomes.append(receive_outcome(process.stdout))
        except (Garbled, OSError):
            self._give_up(process)
            reason = f"took more than {limit_s:.0f} s to decode" if timed_out.is_set() else _CRASH
            outcomes += [Refused(reason, lasting=False)] * (len(job.segments) - len(outcomes))
        finally:
            timer.cancel()
        return outcomes

    def kill_all(self) -> None:
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            _end(process)

    def _process(self) -> "subprocess.Popen[bytes]":
        process: subprocess.Popen[bytes] | None = getattr(self._local, "process", None)
        if process is None:
            process = _started()
            with self._lock:
                if self._closed:
                    _end(process)
                    raise CancelledError
                self._all.append(process)
            self._local.process = process
        return process

    def _give_up(self, process: "subprocess.Popen[bytes]") -> None:
        self._local.process = None
        with self._lock:
            self._all.remove(process)
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # what was buffered for a dead process cannot be flushed
                pipe.close()


def _started() -> "subprocess.Popen[bytes]":
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A signal to all of a service, or from a terminal, leaves it to finish what it has; it dies with its parent.
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    if process.stdout.readline() != READY:
        code = process.wait()
        _end(process)
        raise RuntimeError(f"the decoding process does not start (exit code {code}); see its message above")
    return process


def _time_limit_s(job: Job) -> float:
    ends_s = [segment.end_s for segment in job.segments]
    last_s = max(segment.start_s + job.recipe.max_duration_s for segment in job.segments)
    wanted_s = last_s if None in ends_s else max(end_s for end_s in ends_s if end_s is not None)
    return _BASE_TIMEOUT_S + _TIMEOUT_PER_SECOND * wanted_s
