"""Counts what a decoder was given against what it gave back, because some leave out a frame without a word."""

from typing import Any

# Smaller packets of these say only that the picture stays as it is.
_SMALLEST_MPEG4 = 20
_VP8_SHOWN = 0x10


class Losses:
    """Of one pass over a stream, from a key frame to its end.

    A packet holds one frame, but for what is meant to show nothing: what comes before the first key frame, what the
    file's list of edits hides, and reference frames that are never shown. Of interlaced video a packet may hold half a
    frame, and nothing is said.

    Attributes:
        num_read: Packets that hold something, of whatever kind.
    """

    def __init__(self, codec: str, *, has_presentation_times: bool) -> None:
        """Begin a pass.

        Args:
            codec: Its canonical name.
            has_presentation_times: Whether packets say when they are shown.
        """
        self.num_read = 0
        self._codec = codec
        self._has_presentation_times = has_presentation_times
        self._is_interlaced = False
        self._first: int | None = None
        self._waiting: set[int] = set()
        self._num_packets = 0
        self._num_frames = 0

    def given(self, packet: Any) -> None:
        """A packet goes into the decoder."""
        if packet.size == 0:
            return
        self.num_read += 1
        if packet.is_discard or not self._shows(packet):
            return
        self._num_packets += 1
        if packet.pts is not None:
            self._waiting.add(packet.pts)

    def passed(self) -> None:
        """A packet was read that need not be decoded."""
        self.num_read += 1

    def back(self, frame: Any) -> None:
        """A frame came out of it."""
        self._num_frames += 1
        self._is_interlaced = self._is_interlaced or frame.interlaced_frame
        if frame.pts is not None:
            self._first = frame.pts if self._first is None else min(self._first, frame.pts)
            self._waiting.discard(frame.pts)

    @property
    def num_lost(self) -> int:
        """Frames that went in and never came out, at the end of the stream."""
        if self._is_interlaced or self._first is None:
            return 0
        if not self._has_presentation_times:
            return max(0, self._num_packets - self._num_frames)
        return sum(pts > self._first for pts in self._waiting)

    def _shows(self, packet: Any) -> bool:
        if self._codec == "vp8":
            return bool(memoryview(packet)[0] & _VP8_SHOWN)
        return self._codec != "mpeg4" or packet.size > _SMALLEST_MPEG4
