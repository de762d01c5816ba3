"""The process that decodes: ``python -m tasks.video.worker MEMORY_GB``, started by ``pool.py``.

Reads jobs from a socket on stdin, writes outcomes on stdout, and ends with its input.
"""

import os
import signal
import socket
import sys
from collections.abc import Iterator

import av.logging

from tasks.process import die_with_parent
from tasks.video.clips import DecodedClip, Job, Reason, Refused
from tasks.video.decode import declared_length, decode_open
from tasks.video.protocol import READY, receive_job, send_length, send_outcome
from tasks.video.sandbox import confine


def main() -> None:
    """Serve jobs until there are no more."""
    die_with_parent()
    # The parent ends this process; a service manager that signals every process of a service must not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    av.logging.set_level(None)
    jobs = socket.socket(fileno=0)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    confine(float(sys.argv[1]))
    answers.write(READY)
    answers.flush()
    while (request := receive_job(jobs)) is not None:
        job, descriptor = request
        if job.segments:
            for outcome in _outcomes(descriptor, job):
                send_outcome(answers, outcome)
                answers.flush()
        else:
            send_length(answers, _length(descriptor, job))
            answers.flush()
        os.close(descriptor)


def _length(descriptor: int, job: Job) -> float | Refused:
    try:
        return declared_length(descriptor, job)
    except Refused as refused:
        return refused


def _outcomes(descriptor: int, job: Job) -> Iterator[DecodedClip | Refused]:
    num_known = 0
    try:
        for outcome in decode_open(descriptor, job):
            yield outcome
            num_known += 1
    except MemoryError:
        at_most = f"ingest.limits.memory_gb ({job.limits.memory_gb:g})"
        refused = Refused(f"needs more memory to decode than {at_most} allows", Reason.BUDGET)
        yield from [refused] * (len(job.segments) - num_known)


if __name__ == "__main__":
    main()
