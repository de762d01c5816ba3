"""Decode segments of a video file in one pass. Runs in a worker process; see ``worker.py``.

Only what was decoded counts: a header's size, duration and frame rate are hints that limits are checked against. What
is neither stored nor referred to is not decoded where that can be told (``thinning.py``).
Interlaced video is taken as it is, fields woven. Of several video streams the one that is marked as default counts,
then the largest, then the first; a cover picture never does. Time is presentation time from the stream's start; what
the file's own list of edits hides stays hidden.
"""

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.stream import Disposition

from tasks.video.clips import DecodedClip, Job, Reason, Refused
from tasks.video.dolby import has_only_dolby_vision
from tasks.video.extent import flaw_of
from tasks.video.losses import Losses
from tasks.video.opening import opened
from tasks.video.picture import Picture
from tasks.video.segment import ClipBuilder
from tasks.video.thinning import Passed, Thinning, Unforeseen
from tasks.video.transport import num_jumps as count_jumps

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts"
_CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,mpeg4,mpeg2video,mjpeg"
# Their index names every frame.
_INDEXED = ("mov", "avi")
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails
# Before this, decoding from the start is cheaper than a seek that may have to be repeated.
_SEEK_FROM_S = 10.0


def decode(job: Job) -> list[DecodedClip | Refused]:
    """Decode the segments of ``job``, in order; one that cannot be had is a :class:`Refused`, the others go on."""
    try:
        descriptor = opened(job.path, job.limits)
    except Refused as refused:
        return [refused] * len(job.segments)
    try:
        return list(decode_open(descriptor, job))
    finally:
        os.close(descriptor)


def decode_open(descriptor: int, job: Job) -> Iterator[DecodedClip | Refused]:
    """Like :func:`decode` of a file that is open already: each outcome as soon as it and those before it are known."""
    waiting = deque(ClipBuilder(segment, job.recipe) for segment in job.segments)
    try:
        flaw = flaw_of(descriptor)
        if flaw is not None and flaw.reason is Reason.TRAILING:
            raise flaw
        try:
            with _container(descriptor, job, flaw) as container:
                yield from _fed(_Video(container, descriptor, job, flaw, thins=True), waiting, flaw)
        except Unforeseen:
            waiting = deque(builder.anew() for builder in waiting)
            with _container(descriptor, job, flaw) as container:
                yield from _fed(_Video(container, descriptor, job, flaw), waiting, flaw)
    except Refused as refused:
        for builder in waiting:
            builder.fail(refused)
    yield from (builder.outcome for builder in waiting)


def declared_length(descriptor: int, job: Job) -> float:
    """How long the file says that its video is, in seconds: nothing is decoded, and nothing of it is sure.

    Raises:
        Refused: It cannot be read as video, or does not say.
    """
    flaw = flaw_of(descriptor)
    if flaw is not None and flaw.reason is Reason.TRAILING:
        raise flaw
    with _container(descriptor, job, flaw) as container:
        declared_s = _Video(container, descriptor, job, flaw).declared_s
    if declared_s is None:
        message = (
            "does not say how long it lasts, so that no windows can be cut: copy it with `ffmpeg -i FILE -c copy NEW`"
        )
        raise Refused(message, Reason.DURATION)
    return declared_s


def _fed(video: "_Video", waiting: deque[ClipBuilder], flaw: Refused | None) -> Iterator[DecodedClip | Refused]:
    """Outcomes as they come; those that do not are left in ``waiting``."""
    declared_s = video.declared_s
    for builder in waiting:
        builder.check_declared(declared_s)
        if flaw is not None and builder.is_open_ended:
            builder.fail(flaw)
    yield from _known(waiting)
    if not waiting:
        return
    ended_s = 0.0
    for picture in video.pictures(min(builder.start_s for builder in waiting)):
        for builder in waiting:
            builder.add(picture)
        yield from _known(waiting)
        if not waiting:
            return
        ended_s = max(ended_s, picture.time_s + picture.duration_s)
    for builder in waiting:
        if builder.is_open_ended and (loss := video.loss) is not None:
            builder.fail(loss)
        builder.end_of_file(ended_s, declared_s)


def _known(waiting: deque[ClipBuilder]) -> Iterator[DecodedClip | Refused]:
    while waiting and waiting[0].done:
        yield waiting.popleft().outcome


@contextmanager
def _container(descriptor: int, job: Job, flaw: Refused | None) -> Iterator[Any]:
    options = {
        "fd": str(descriptor),
        "protocol_whitelist": "fd",
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": _CODECS,
        "max_pixels": str(job.limits.max_pixels),  # opening decodes a little, to see what is there
    }
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        # Words in a file are in whatever alphabet its recorder used; nobody reads them here.
        with av.open("fd:", options=options, metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        _check_memory(error)
        message = f"cannot be read as video (mp4, mov, mkv, webm, avi or ts): {error.strerror}"
        raise flaw or Refused(message, Reason.CONTAINER) from None


class _Video:
    """The one video stream of an open file that counts."""

    def __init__(self, container: Any, descriptor: int, job: Job, flaw: Refused | None, *, thins: bool = False) -> None:
        self._container = container
        self._descriptor = descriptor
        self._job = job
        self._stream = _chosen(container)
        if self._stream is None:
            sound = "has no video, only sound"
            missing = sound if container.streams.audio else "has no video that can be read; it may be cut off"
            raise flaw or Refused(missing, Reason.NO_VIDEO)
        decoder = self._stream.codec_context
        if decoder.name not in _CODECS.split(","):
            message = f"its codec {decoder.name} is not taken (h264, hevc, vp8, vp9, av1, mpeg4, mpeg2video, mjpeg)"
            raise Refused(message, Reason.CODEC)
        if has_only_dolby_vision(descriptor):
            message = "is Dolby Vision without a base layer (profile 5), whose colours would be misread; convert it"
            raise Refused(message, Reason.HDR)
        self._check_pixels(decoder.width, decoder.height)
        # What the stream itself says may be larger than what its container does.
        decoder.options = {"max_pixels": str(job.limits.max_pixels)}
        decoder.thread_count = 1  # files are decoded side by side instead
        # AVI has no presentation times, and what is made up for it is wrong where frames are reordered.
        self._is_timeless = container.format.name == "avi"
        self._thins = thins and decoder.codec.canonical_name == "h264" and not self._is_timeless
        self._losses = self._fresh_losses()
        self._is_from_start = True

    @property
    def loss(self) -> Refused | None:
        """What is missing of the stream, at the end of a pass over it."""
        num_lost, format_name = self._losses.num_lost, self._container.format.name
        if format_name == "mpegts" and (num_jumps := count_jumps(self._descriptor, self._stream.id)):
            return Refused(f"is damaged: its stream breaks off in {num_jumps} places", Reason.DAMAGED)
        if self._is_from_start and format_name.startswith(_INDEXED):
            num_named = sum(entry.size > 0 for entry in self._stream.index_entries)
            num_lost = max(num_lost, num_named - self._losses.num_read)
        return Refused(f"is damaged: {num_lost} of its frames are lost", Reason.DAMAGED) if num_lost else None

    def _fresh_losses(self) -> Losses:
        codec = self._stream.codec_context.codec.canonical_name
        return Losses(codec, has_presentation_times=not self._is_timeless)

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

    def pictures(self, from_s: float) -> Iterator[Picture | Passed]:
        """Frames in order of presentation, from at or before ``from_s``; of some that are not stored only the time."""
        origin = None if self._is_timeless else self._stream.start_time
        if origin is not None and from_s >= _SEEK_FROM_S:
            self._container.seek(origin + int(from_s / self._stream.time_base), stream=self._stream)
            self._is_from_start = False
            pictures = self._decoded(origin)
            first = next(pictures, None)
            if first is not None and first.time_s <= from_s:
                yield first
                yield from pictures
                return
            self._container.seek(origin, stream=self._stream)
            self._is_from_start = True
        yield from self._decoded(origin)

    def _decoded(self, origin: int | None) -> Iterator[Picture | Passed]:
        self._losses = losses = self._fresh_losses()
        tick, reached_s, stamps = self._stream.time_base, 0.0, _Stamps(decoding_order=self._is_timeless)
        pixels_left = self._job.limits.max_decoded_gigapixels * 1e9 * len(self._job.segments)
        decoder = self._stream.codec_context
        thinning = Thinning(self._job.segments, self._job.recipe, decoder.extradata, is_on=self._thins)
        try:
            for packet in self._container.demux(self._stream):
                if thinning.passes(packet, origin):
                    losses.passed()
                    pixels_left -= decoder.width * decoder.height
                    continue
                losses.given(packet)
                for frame in packet.decode():
                    losses.back(frame)
                    stamp = stamps.of(frame)
                    self._check_pixels(frame.width, frame.height)
                    pixels_left -= frame.width * frame.height
                    if pixels_left < 0:
                        self._refuse_cost(reached_s)
                    origin = stamp if origin is None else origin
                    reached_s = (stamp - origin) * tick.numerator / tick.denominator
                    damaged = bool(frame.is_corrupt or packet.is_corrupt)
                    yield from thinning.before(reached_s, is_interlaced=frame.interlaced_frame)
                    yield Picture(frame, reached_s, self._stream, self._job.recipe, damaged=damaged)
            yield from thinning.rest()
        except av.FFmpegError as error:
            _check_memory(error)
            message = f"cannot be decoded beyond {reached_s:.2f} s: {error.strerror}"
            raise Refused(message, Reason.DAMAGED) from None

    def _check_pixels(self, width: int, height: int) -> None:
        limit = f"more than ingest.limits.max_pixels ({self._job.limits.max_pixels:,})"
        if width * height > self._job.limits.max_pixels:
            raise Refused(f"has {width} x {height} pixels, {limit}", Reason.PICTURE)
        if width * height == 0:  # what FFmpeg leaves of a size beyond its limit
            raise Refused(f"has no pixels, or {limit}", Reason.PICTURE)

    def _refuse_cost(self, reached_s: float) -> None:
        at_most = self._job.limits.max_decoded_gigapixels
        raise Refused(
            f"has more pixels up to {reached_s:.2f} s than ingest.limits.max_decoded_gigapixels ({at_most:g}) allows",
            Reason.BUDGET,
        )


def _chosen(container: Any) -> Any:
    """The stream that counts, if there is one."""
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _NO_FILM
    ]
    return max(streams, key=_preference, default=None)


def _preference(stream: Any) -> tuple[bool, int, int]:
    size = stream.codec_context.width * stream.codec_context.height
    return bool(stream.disposition & Disposition.default), size, -stream.index


def _check_memory(error: av.FFmpegError) -> None:
    if error.errno == errno.ENOMEM:
        raise MemoryError from None


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
            raise Refused("has frames without time stamps", Reason.TIMES)
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
