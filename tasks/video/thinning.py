"""Frames that need not be decoded: another one is stored in their place, and none refers to them.

A source of 30 frames a second of which 15 are stored often has every second frame as one to which no other refers: in
H.264 the B-frames between others. Leaving them out changes no stored pixel, and saves up to half of decoding.

Source: ITU-T H.264, 7.4.1 (nal_ref_idc: 0 says that no frame refers to this one) and Annex B.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Any

from tasks.video.clips import Recipe, Segment

_EPSILON_S = 1e-6
_SLICE = 1
# What may stand beside slices without a word for later frames: supplemental information, a delimiter, filling.
_NOTES = (6, 9, 12)
_START_CODE = b"\x00\x00\x01"


class Unforeseen(Exception):  # noqa: N818 - the state of a pass, not an error of the program
    """Frames do not come as their packets said; the file has to be decoded whole."""


def tick_of(time_s: float, max_fps: float) -> int:
    """Which of the stretches of ``1 / max_fps`` seconds a time lies in; the first frame of each is stored."""
    return int(time_s * max_fps + _EPSILON_S)


class Passed:
    """A frame that was not decoded.

    Attributes:
        time_s: Presentation time from the file's start.
        duration_s: How long it is shown, as far as the file says; else 0.
    """

    def __init__(self, time_s: float, duration_s: float) -> None:
        self.time_s = time_s
        self.duration_s = duration_s


class Thinning:
    """Of one pass over an H.264 stream, packet by packet in the order of decoding."""

    def __init__(
        self, segments: Sequence[Segment], recipe: Recipe, extradata: bytes | None, *, is_on: bool = True
    ) -> None:
        """Begin a pass.

        Args:
            segments: The stretches that are wanted.
            recipe: How many frames of them are stored.
            extradata: What the container says about the stream once.
            is_on: Whether any frame may be passed.
        """
        self._is_on = is_on
        self._stretches = [_Stretch(segment, recipe.max_fps) for segment in segments]
        # avcC (ISO/IEC 14496-15) begins with version 1, a stream of its own with a start code.
        self._length_size = (extradata[4] & 3) + 1 if extradata and len(extradata) > 4 and extradata[0] == 1 else None
        self._first_s: float | None = None
        self._passed: list[tuple[float, float]] = []
        self._reached_s = float("-inf")

    def passes(self, packet: Any, origin: int | None) -> bool:
        """Whether the packet need not be decoded; it counts as one that is, or as passed, from now on.

        Args:
            packet: The next one.
            origin: When the stream starts, in units of its time base, if that is known.
        """
        if not self._is_on or packet.pts is None or origin is None:
            return False
        base = packet.time_base
        time_s = (packet.pts - origin) * base.numerator / base.denominator
        if self._may_pass(packet, time_s):
            heappush(self._passed, (time_s, (packet.duration or 0) * base.numerator / base.denominator))
            return True
        self._first_s = time_s if self._first_s is None else self._first_s
        for stretch in self._stretches:
            stretch.given(time_s)
        return False

    def before(self, time_s: float, *, is_interlaced: bool = False) -> Iterator[Passed]:
        """Those that are shown before a frame that was decoded.

        Raises:
            Unforeseen: It should have been shown earlier, or may be half of one.
        """
        if not self._is_on:
            return
        while self._passed and self._passed[0][0] < time_s:
            passed = Passed(*heappop(self._passed))
            self._reached_s = passed.time_s
            yield passed
        if time_s <= self._reached_s or is_interlaced:
            raise Unforeseen
        self._reached_s = time_s

    def rest(self) -> Iterator[Passed]:
        """Those that are shown after all that were decoded."""
        yield from self.before(float("inf"))

    def _may_pass(self, packet: Any, time_s: float) -> bool:
        # What comes before the first key frame, or too late, is the decoder's to judge.
        if self._first_s is None or time_s < max(self._first_s, self._reached_s):
            return False
        if packet.is_corrupt or packet.is_discard or any(stretch.needs(time_s) for stretch in self._stretches):
            return False
        return all(
            kind in _NOTES or (kind == _SLICE and not refers) for kind, refers in _units(packet, self._length_size)
        )


class _Stretch:
    def __init__(self, segment: Segment, max_fps: float) -> None:
        self._start_s = segment.start_s
        self._end_s = float("inf") if segment.end_s is None else segment.end_s
        self._max_fps = max_fps
        self._first_s: dict[int, float] = {}

    def given(self, time_s: float) -> None:
        if self._holds(time_s):
            tick = tick_of(time_s - self._start_s, self._max_fps)
            self._first_s[tick] = min(time_s, self._first_s.get(tick, time_s))

    def needs(self, time_s: float) -> bool:
        if not self._holds(time_s):
            return False
        return not self._first_s.get(tick_of(time_s - self._start_s, self._max_fps), time_s) < time_s

    def _holds(self, time_s: float) -> bool:
        return self._start_s - _EPSILON_S <= time_s < self._end_s - _EPSILON_S


def _units(packet: Any, length_size: int | None) -> Iterator[tuple[int, int]]:
    """Type and nal_ref_idc of each unit of a packet; a broken one is of no known type."""
    content = bytes(packet)
    at = 0
    if length_size is None:
        while (at := content.find(_START_CODE, at)) >= 0:
            at += len(_START_CODE)
            yield _header(content, at)
        return
    while at < len(content):
        length = int.from_bytes(content[at : at + length_size], "big")
        at += length_size
        yield _header(content, at) if 0 < length <= len(content) - at else (0, 0)
        at += length


def _header(content: bytes, at: int) -> tuple[int, int]:
    return (content[at] & 31, content[at] >> 5 & 3) if at < len(content) else (0, 0)
