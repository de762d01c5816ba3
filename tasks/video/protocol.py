"""How a worker process is spoken to: a line of JSON each way, frames as bytes behind it.

No pickle: whoever takes over a decoder through a hostile file must not get at its parent through the answer.
"""

import json
from dataclasses import asdict
from typing import IO, Any

from tasks.video.clips import DecodedClip, Facts, Job, Recipe, Refused, Segment

READY = b"ready\n"
_MAX_HEADER_BYTES = 1 << 24
_MAX_FRAME_BYTES = 1 << 26


class Garbled(Exception):  # noqa: N818 - the state of a conversation
    """The other side is gone, or does not follow the protocol."""


def send_job(pipe: IO[bytes], job: Job) -> None:
    """Write a request."""
    _send_line(pipe, asdict(job))
    pipe.flush()


def receive_job(pipe: IO[bytes]) -> Job | None:
    """Read a request; None when there are no more."""
    line = pipe.readline()
    if not line:
        return None
    content = json.loads(line)
    segments = tuple(Segment(**segment) for segment in content["segments"])
    return Job(content["path"], segments, Recipe(**content["recipe"]))


def send_outcome(pipe: IO[bytes], outcome: DecodedClip | Refused) -> None:
    """Write the outcome of one segment."""
    if isinstance(outcome, Refused):
        _send_line(pipe, {"refused": str(outcome)})
        return
    header = {
        "facts": asdict(outcome.facts),
        "width": outcome.width,
        "height": outcome.height,
        "times_s": outcome.times_s,
        "sizes": [len(frame) for frame in outcome.frames],
    }
    _send_line(pipe, header)
    pipe.writelines(outcome.frames)


def receive_outcome(pipe: IO[bytes]) -> DecodedClip | Refused:
    """Read the outcome of one segment, trusting nothing.

    Raises:
        Garbled: The other side is gone, or what it wrote is no outcome.
    """
    try:
        header = json.loads(_read_line(pipe))
        if "refused" in header:
            return Refused(str(header["refused"]))
        facts = Facts(**{name: kind(header["facts"][name]) for name, kind in Facts.__annotations__.items()})
        frames = [_read(pipe, int(size)) for size in header["sizes"]]
        times_s = [float(time_s) for time_s in header["times_s"]]
        if len(times_s) != len(frames):
            raise Garbled("as many times as frames were expected")
        return DecodedClip(facts, int(header["width"]), int(header["height"]), times_s, frames)
    except (ValueError, KeyError, TypeError) as error:
        raise Garbled(str(error)) from None


def _send_line(pipe: IO[bytes], content: dict[str, Any]) -> None:
    pipe.write(json.dumps(content).encode() + b"\n")


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
