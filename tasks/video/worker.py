"""The process that decodes: ``python -m tasks.video.worker``, started by ``pool.py``.

Reads jobs on stdin, writes outcomes on stdout, and ends with its input.
"""

import os
import signal
import sys

import av.logging

from tasks.process import die_with_parent
from tasks.video.clips import DecodedClip, Job, Refused
from tasks.video.decode import decode
from tasks.video.protocol import READY, receive_job, send_outcome
from tasks.video.sandbox import confine


def main() -> None:
    """Serve jobs until there are no more."""
    die_with_parent()
    # The parent ends this process; a service manager that signals every process of a service must not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    av.logging.set_level(None)
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    confine()
    answers.write(READY)
    answers.flush()
    while (job := receive_job(jobs)) is not None:
        for outcome in _decoded(job):
            send_outcome(answers, outcome)
        answers.flush()


def _decoded(job: Job) -> list[DecodedClip | Refused]:
    try:
        return decode(job)
    except MemoryError:
        return [Refused("needs more memory to decode than a video may take")] * len(job.segments)


if __name__ == "__main__":
    main()
