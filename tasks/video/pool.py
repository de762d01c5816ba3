"""Decodes many files side by side, each in a process that may crash or hang without harm to the others."""

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

import tasks
from tasks.video.clips import DecodedClip, Job, Limits, Reason, Refused
from tasks.video.opening import opened
from tasks.video.protocol import READY, Garbled, receive_length, receive_outcome, send_job

_ROOT = Path(tasks.__file__).parents[1]
_JOBS_AHEAD = 3
AHEAD_BYTES = 64 << 20
_COMMAND = [sys.executable, "-m", "tasks.video.worker"]
Outcomes = list[DecodedClip | Refused]
_Answer = TypeVar("_Answer")


def decode_all(
    jobs: Iterable[Job], *, num_workers: int | None = None, memory_gb: float = Limits.memory_gb
) -> Generator[Outcomes, None, None]:
    """Decode ``jobs`` in worker processes.

    Args:
        jobs: Files and their segments; read only as far ahead as keeps the workers busy.
        num_workers: Processes; default: one a CPU.
        memory_gb: Address space of each.

    Yields:
        The outcomes of each job's segments, in the order of ``jobs`` however many workers there are.
    """
    pool = DecodingPool(num_workers, memory_gb=memory_gb)
    pending: deque[Future[Outcomes]] = deque()
    remaining = iter(jobs)
    try:
        pending.extend(pool.submit(job) for job in islice(remaining, _JOBS_AHEAD * pool.num_workers))
        while pending:
            outcomes = pending.popleft().result()
            while not pending or (
                len(pending) < _JOBS_AHEAD * pool.num_workers and num_bytes_of(pending) < AHEAD_BYTES
            ):
                if (job := next(remaining, None)) is None:
                    break
                pending.append(pool.submit(job))
            yield outcomes
    finally:
        pool.close()


def declared_lengths(
    jobs: Iterable[Job], *, num_workers: int | None = None, memory_gb: float = Limits.memory_gb
) -> list[float | Refused]:
    """How long the files of ``jobs`` say that their video is, in seconds, in order; nothing is decoded.

    Args:
        jobs: Files, without segments.
        num_workers: Processes; default: one a CPU.
        memory_gb: Address space of each.
    """
    pool = DecodingPool(num_workers, memory_gb=memory_gb)
    try:
        return [future.result() for future in [pool.length(job) for job in jobs]]
    finally:
        pool.close()


def num_bytes_of(pending: Iterable[Future[Outcomes]]) -> int:
    """Bytes of frames that wait for a slower job before them; kept below about ``AHEAD_BYTES``."""
    done = (outcome for future in pending if future.done() for outcome in future.result())
    return sum(len(frame) for clip in done if isinstance(clip, DecodedClip) for frame in clip.frames)


class DecodingPool:
    """Worker processes that wait for jobs; each starts with the first job that needs it, or with :meth:`start`.

    Attributes:
        num_workers: Processes, at most.
    """

    def __init__(
        self,
        num_workers: int | None = None,
        *,
        time_limit_s: float | None = None,
        memory_gb: float = Limits.memory_gb,
    ) -> None:
        """Make a pool.

        Args:
            num_workers: Processes; default: one a CPU.
            time_limit_s: After which a job is given up; default: by its limits and the duration that it asks for.
            memory_gb: Address space of each process, in 10^9 bytes.
        """
        self.num_workers = num_workers or len(os.sched_getaffinity(0))
        self._workers = _Workers(time_limit_s, memory_gb)
        self._executor = ThreadPoolExecutor(self.num_workers, thread_name_prefix="decode")

    def start(self) -> None:
        """Begin to start all processes, so that the first jobs need not wait."""
        for _ in range(self.num_workers):
            self._executor.submit(self._workers.begin)

    def submit(self, job: Job) -> Future[Outcomes]:
        """The outcomes of the job's segments, when they are there."""
        return self._executor.submit(self._workers.run, job)

    def length(self, job: Job) -> Future[float | Refused]:
        """How long the job's file says that its video is, in seconds, when that is known."""
        return self._executor.submit(self._workers.length, job)

    def close(self) -> None:
        """Kill the processes; jobs that wait are cancelled."""
        self._workers.kill_all()
        self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class _Worker:
    """A process and the socket that its jobs go through."""

    process: "subprocess.Popen[bytes]"
    jobs: socket.socket

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.jobs.close()
        if self.process.stdout:
            with suppress(OSError):
                self.process.stdout.close()


class _Workers:
    """One worker process for each thread that asks; replaced when it dies."""

    def __init__(self, time_limit_s: float | None, memory_gb: float) -> None:
        self._time_limit_s = time_limit_s
        self._memory_gb = memory_gb
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[_Worker] = []
        self._closed = False

    def begin(self) -> None:
        """Start the process of this thread."""
        self._worker()

    def run(self, job: Job) -> Outcomes:
        return self._asked(job, len(job.segments), receive_outcome)

    def length(self, job: Job) -> float | Refused:
        return self._asked(job, 1, receive_length)[0]

    def _asked(self, job: Job, num_answers: int, receive: Callable[[IO[bytes]], _Answer]) -> list[_Answer | Refused]:
        try:
            descriptor = opened(job.path, job.limits)
        except Refused as refused:
            return [refused] * num_answers
        try:
            return self._asked_of(descriptor, job, num_answers, receive)
        finally:
            os.close(descriptor)

    def _asked_of(
        self, descriptor: int, job: Job, num_answers: int, receive: Callable[[IO[bytes]], _Answer]
    ) -> list[_Answer | Refused]:
        worker = self._worker()
        answers = worker.process.stdout
        assert answers is not None
        timed_out = threading.Event()
        limit_s = self._time_limit_s or _time_limit_s(job)

        def expire() -> None:
            timed_out.set()
            worker.process.kill()
            worker.process.wait()

        timer = threading.Timer(limit_s, expire)
        timer.start()
        received: list[_Answer | Refused] = []
        try:
            send_job(worker.jobs, job, descriptor)
            for _ in range(num_answers):
                received.append(receive(answers))
        except (Garbled, OSError):
            self._give_up(worker)
            took_long = Refused(f"took more than {limit_s:.0f} s to decode", Reason.BUDGET, lasting=False)
            crashed = Refused("crashed the decoder", Reason.CRASH, lasting=False)
            received += [took_long if timed_out.is_set() else crashed] * (num_answers - len(received))
        finally:
            timer.cancel()
            timer.join()  # it may have begun: the next job would be sent to a process that is being killed
        return received

    def kill_all(self) -> None:
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.end()

    def _worker(self) -> _Worker:
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is not None and worker.process.poll() is not None:  # killed while it waited, as where memory is short
            self._give_up(worker)
            worker = None
        if worker is None:
            worker = _started(self._memory_gb)
            with self._lock:
                if self._closed:
                    worker.end()
                    raise CancelledError
                self._all.append(worker)
            self._local.worker = worker
        return worker

    def _give_up(self, worker: _Worker) -> None:
        self._local.worker = None
        with self._lock:
            self._all.remove(worker)
        worker.end()


def _started(memory_gb: float) -> _Worker:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    jobs, its_jobs = socket.socketpair()
    with its_jobs:
        process = subprocess.Popen(
            [*_COMMAND, str(memory_gb)],
            stdin=its_jobs.fileno(),
            stdout=subprocess.PIPE,
            # A signal to all of a service, or from a terminal, leaves it to finish; it dies with its parent.
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
    worker = _Worker(process, jobs)
    assert process.stdout is not None
    if process.stdout.readline() != READY:
        code = process.wait()
        worker.end()
        raise RuntimeError(f"the decoding process does not start (exit code {code}); see its message above")
    return worker


def _time_limit_s(job: Job) -> float:
    if not job.segments:
        return job.limits.timeout_s
    ends_s = [segment.end_s for segment in job.segments]
    last_s = max(segment.start_s + job.recipe.max_duration_s for segment in job.segments)
    wanted_s = last_s if None in ends_s else max(end_s for end_s in ends_s if end_s is not None)
    return job.limits.timeout_s + job.limits.timeout_per_s * wanted_s
