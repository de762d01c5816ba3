"""Decode segments of a video file in one pass. Runs in a worker process; see ``worker.py``.

Only what was decoded counts: a header's size, duration and frame rate are hints that limits are checked against.
Interlaced video is taken as it is, fields woven; of several video streams the default one, cover pictures never.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av

from tasks.video.clips import DecodedClip, Job, Recipe, Refused
from tasks.video.picture import Picture
from tasks.video.segment import ClipBuilder

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,mpeg4,mpeg2video,mjpeg"
_MAX_PIXELS = 8192 * 4320
# Before this, decoding from the start is cheaper than a seek that may have to be repeated.
_SEEK_FROM_S = 10.0


def decode(job: Job) -> list[DecodedClip | Refused]:
    """Decode the segments of ``job``, in order; one that cannot be had is a :class:`Refused`, the others go on."""
    builders = [ClipBuilder(segment, job.recipe) for segment in job.segments]
    try:
        with _opened(job) as video:
            _feed(video, builders)
    except Refused as refused:
        for builder in builders:
            builder.fail(refused)
    return [builder.outcome for builder in builders]


def _feed(video: "_Video", builders: list[ClipBuilder]) -> None:
    declared_s = video.declared_s
    for builder in builders:
        builder.check_declared(declared_s)
    if all(builder.done for builder in builders):
        return
    ended_s = 0.0
    for picture in video.pictures(min(builder.start_s for builder in builders)):
        for builder in builders:
            builder.add(picture)
        if all(builder.done for builder in builders):
            return
        ended_s = picture.time_s + picture.duration_s
    for builder in builders:
        builder.end_of_file(ended_s, declared_s)


@contextmanager
def _opened(job: Job) -> Iterator["_Video"]:
    options = {"format_whitelist": _CONTAINERS, "codec_whitelist": _CODECS, "protocol_whitelist": "file"}
    try:
        with av.open(job.path, options=options) as container:
            yield _Video(container, job.recipe)
    except av.FFmpegError as error:
        raise Refused(f"cannot be read as video (mp4, mov, mkv, webm, avi or ts): {error.strerror}") from None


class _Video:
    """The one video stream of an open file that counts."""

    def __init__(self, container: Any, recipe: Recipe) -> None:
        self._container = container
        self._recipe = recipe
        self._stream = container.streams.best("video")
        if self._stream is None or self._stream.codec_context is None:
            sound = "has no video, only sound"
            raise Refused(sound if container.streams.audio else "has no video that can be read; it may be cut off")
        decoder = self._stream.codec_context
        if decoder.name not in _CODECS.split(","):
            raise Refused(
                f"its codec {decoder.name} is not taken (h264, hevc, vp8, vp9, av1, mpeg4, mpeg2video, mjpeg)"
            )
        if decoder.width * decoder.height > _MAX_PIXELS:
            raise Refused(f"has {decoder.width} x {decoder.height} pixels, more than {_MAX_PIXELS:,} are not taken")
        decoder.thread_count = 1  # files are decoded side by side instead
        # AVI has no presentation times, and what is made up for it is wrong where frames are reordered.
        self._is_timeless = container.format.name == "avi"

    @property
    def declared_s(self) -> float | None:
        """The duration that the file claims, of its video where it says that."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        ended_s = _seconds(self._stream.metadata.get("DURATION", ""))
        if ended_s is None and self._container.duration is not None:
            ended_s = float(self._container.duration / av.time_base)
        # Matroska counts from zero, whatever its first time stamp is.
        return None if ended_s is None else ended_s - float((self._stream.start_time or 0) * self._stream.time_base)

    def pictures(self, from_s: float) -> Iterator[Picture]:
        """Decoded frames in order of presentation, from at or before ``from_s``."""
        origin = None if self._is_timeless else self._stream.start_time
        if origin is not None and from_s >= _SEEK_FROM_S:
            self._container.seek(origin + int(from_s / self._stream.time_base), stream=self._stream)
            pictures = self._decoded(origin)
            first = next(pictures, None)
            if first is not None and first.time_s <= from_s:
                yield first
                yield from pictures
                return
            self._container.seek(origin, stream=self._stream)
        yield from self._decoded(origin)

    def _decoded(self, origin: int | None) -> Iterator[Picture]:
        tick, reached_s, stamps = self._stream.time_base, 0.0, _Stamps(decoding_order=self._is_timeless)
        try:
            for packet in self._container.demux(self._stream):
                for frame in packet.decode():
                    stamp = stamps.of(frame)
                    if frame.width * frame.height > _MAX_PIXELS:
                        raise Refused(f"has a frame of {frame.width} x {frame.height} pixels")
                    origin = stamp if origin is None else origin
                    reached_s = (stamp - origin) * tick.numerator / tick.denominator
                    damaged = bool(frame.is_corrupt or packet.is_corrupt)
                    yield Picture(frame, reached_s, self._stream, self._recipe, damaged=damaged)
        except av.FFmpegError as error:
            raise Refused(f"cannot be decoded beyond {reached_s:.2f} s: {error.strerror}") from None


class _Stamps:
    """When each decoded frame is shown, in units of the stream's time base."""

    def __init__(self, *, decoding_order: bool) -> None:
        self._decoding_order = decoding_order
        self._last: int | None = None
        self._step: int | None = None

    def of(self, frame: Any) -> int:
        stamp = frame.dts if self._decoding_order or frame.pts is None else frame.pts
        if stamp is None and self._last is not None and self._step is not None:
            stamp = self._last + self._step  # the last frames leave the decoder when nothing goes in any more
        if stamp is None:
            raise Refused("has frames without time stamps")
        if self._last is not None:
            self._step = stamp - self._last
        self._last = int(stamp)
        return self._last


def _seconds(clock: str) -> float | None:
    try:
        hours, minutes, seconds = clock.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
