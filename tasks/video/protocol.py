"""How a worker process is spoken to: a line of JSON each way, frames as bytes behind it.

A job comes through a socket, with its file, which is open: the worker itself may open none. No pickle: whoever takes
over a decoder through a hostile file must not get at its parent through the answer.
"""

import json
import math
import os
import socket
from dataclasses import asdict
from typing import IO, Any

from tasks.video.clips import DecodedClip, Facts, Job, Limits, Reason, Recipe, Refused, Segment

READY = b"ready\n"
_MAX_HEADER_BYTES = 1 << 24
_MAX_FRAME_BYTES = 1 << 26
_RECEIVED_BYTES = 1 << 16


class Garbled(Exception):  # noqa: N818 - the state of a conversation
    """The other side is gone, or does not follow the protocol."""


def send_job(jobs: socket.socket, job: Job, descriptor: int) -> None:
    """Write a request, with its file."""
    line = _line(asdict(job))
    num_sent = socket.send_fds(jobs, [line], [descriptor])
    jobs.sendall(line[num_sent:])


def receive_job(jobs: socket.socket) -> tuple[Job, int] | None:
    """Read a request and the descriptor of its file, which the caller closes; None when there are no more."""
    line, descriptors, _, _ = socket.recv_fds(jobs, _RECEIVED_BYTES, 1)
    if not line:
        return None
    while not line.endswith(b"\n"):
        line += jobs.recv(_RECEIVED_BYTES)
    content = json.loads(line)
    segments = tuple(Segment(**segment) for segment in content["segments"])
    os.set_inheritable(descriptors[0], False)
    return Job(content["path"], segments, Recipe(**content["recipe"]), Limits(**content["limits"])), descriptors[0]


def send_outcome(pipe: IO[bytes], outcome: DecodedClip | Refused) -> None:
    """Write the outcome of one segment."""
    if isinstance(outcome, Refused):
        pipe.write(_line({"refused": str(outcome), "reason": outcome.reason, "lasting": outcome.lasting}))
        return
    header = {
        "facts": asdict(outcome.facts),
        "width": outcome.width,
        "height": outcome.height,
        "times_s": outcome.times_s,
        "num_disordered": outcome.num_disordered,
        "sizes": [len(frame) for frame in outcome.frames],
    }
    pipe.write(_line(header))
    pipe.writelines(outcome.frames)


def send_length(pipe: IO[bytes], length: float | Refused) -> None:
    """Write how long a file says that it is, in seconds."""
    if isinstance(length, Refused):
        send_outcome(pipe, length)
    else:
        pipe.write(_line({"declared_s": length}))


def receive_length(pipe: IO[bytes]) -> float | Refused:
    """Read what :func:`send_length` wrote, trusting nothing.

    Raises:
        Garbled: The other side is gone, or what it wrote is no length.
    """
    try:
        header = json.loads(_read_line(pipe))
        length = _refused(header) if "refused" in header else float(header["declared_s"])
    except (ValueError, KeyError, TypeError) as error:
        raise Garbled(str(error)) from None
    if not isinstance(length, Refused) and not math.isfinite(length):
        raise Garbled(f"a length of {length} s")
    return length


def receive_outcome(pipe: IO[bytes]) -> DecodedClip | Refused:
    """Read the outcome of one segment, trusting nothing.

    Raises:
        Garbled: The other side is gone, or what it wrote is no outcome.
    """
    try:
        header = json.loads(_read_line(pipe))
        if "refused" in header:
            return _refused(header)
        facts = Facts(**{name: kind(header["facts"][name]) for name, kind in Facts.__annotations__.items()})
        frames = [_read(pipe, int(size)) for size in header["sizes"]]
        times_s = [float(time_s) for time_s in header["times_s"]]
        if len(times_s) != len(frames):
            raise Garbled("as many times as frames were expected")
        width, height, num_disordered = (int(header[name]) for name in ("width", "height", "num_disordered"))
        return DecodedClip(facts, width, height, times_s, frames, num_disordered)
    except (ValueError, KeyError, TypeError) as error:
        raise Garbled(str(error)) from None


def _refused(header: dict[str, Any]) -> Refused:
    return Refused(str(header["refused"]), Reason(header["reason"]), lasting=bool(header["lasting"]))


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _read_line(pipe: IO[bytes]) -> bytes:
    line = pipe.readline(_MAX_HEADER_BYTES)
    if not line.endswith(b"\n"):
        raise Garbled("the answer breaks off")
    return line


def _read(pipe: IO[bytes], size: int) -> bytes:
    if not 0 < size <= _MAX_FRAME_BYTES:
        raise Garbled(f"a frame of {size} bytes")
    content = pipe.read(size)
    if len(content) != size:
        raise Garbled("the answer breaks off")
    return content
