"""Builds one clip out of the frames that pass by."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from tasks.video.clips import DecodedClip, Facts, Reason, Recipe, Refused, Segment
from tasks.video.measure import Light
from tasks.video.picture import Picture
from tasks.video.thinning import Passed, Unforeseen, tick_of

_EPSILON_S = 1e-6
# Tables carry rounded times, and a container's duration may count the last frame or not.
_END_TOLERANCE_S = 0.25
_TRUNCATED_SHARE = 0.9
# A stretch without frames, in seconds and in usual intervals, that is not a slow camera any more.
_GAP_S = 1.0
_GAP_INTERVALS = 10.0
_MAX_DISORDER = 0.1


class ClipBuilder:
    """Takes the frames of one segment, in order, until its clip is whole or refused."""

    def __init__(self, segment: Segment, recipe: Recipe) -> None:
        self.start_s = segment.start_s
        self._segment = segment
        self._end_s = segment.end_s
        self._recipe = recipe
        self._outcome: DecodedClip | Refused | None = None
        self._first: Picture | None = None
        self._seen_s: list[float] = []
        self._num_disordered = 0
        self._kept_s: list[float] = []
        self._frames: list[bytes] = []
        self._light = Light()

    def anew(self) -> "ClipBuilder":
        """One that has seen nothing."""
        return ClipBuilder(self._segment, self._recipe)

    @property
    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    @property
    def is_open_ended(self) -> bool:
        """Whether it lasts to the end of the file, wherever that is."""
        return self._end_s is None

    @property
    def outcome(self) -> DecodedClip | Refused:
        """The clip, or why there is none; known once :attr:`done`."""
        assert self._outcome is not None
        return self._outcome

    def fail(self, refused: Refused) -> None:
        """Refuse the clip, unless its outcome is known."""
        self._outcome = self._outcome or refused

    def check_declared(self, declared_s: float | None) -> None:
        """Refuse before decoding what the table says is too short or too long, or the header too long.

        What a header calls short costs little to decode, and headers lie.
        """
        with self._refusals():
            if self._end_s is not None:
                self._recipe.check_duration(self._end_s - self.start_s)
            elif declared_s is not None and declared_s - self.start_s > self._recipe.max_duration_s:
                self._recipe.check_duration(declared_s - self.start_s)

    def add(self, picture: Picture | Passed) -> None:
        """Take a frame, which may lie outside the segment.

        Raises:
            Unforeseen: It was passed, and should be stored.
        """
        if self.done:
            return
        if picture.time_s < self.start_s - _EPSILON_S:
            self._num_disordered += bool(self._seen_s)
            return
        with self._refusals():
            if self._end_s is not None and picture.time_s >= self._end_s - _EPSILON_S:
                self._finish(self._end_s)
            else:
                self._take(picture)

    def end_of_file(self, ended_s: float, declared_s: float | None) -> None:
        """Finish with what there is; the decoded video ended at ``ended_s``, and the file claims ``declared_s``."""
        if self.done:
            return
        with self._refusals():
            self._check_order()
            if self._end_s is None:
                self._finish(self._checked_end(ended_s, declared_s))
            elif self._end_s > ended_s + _END_TOLERANCE_S:
                message = f"ends at {self._end_s:.2f} s by the table, but the video lasts {ended_s:.2f} s"
                raise Refused(message, Reason.DURATION)
            else:
                self._finish(min(self._end_s, ended_s))

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            self.fail(refused)

    def _take(self, picture: Picture | Passed) -> None:
        if isinstance(picture, Passed):
            if self._is_due(picture.time_s):
                raise Unforeseen
            self._see(picture.time_s)
            return
        if picture.damaged:
            raise Refused(f"is damaged at {picture.time_s:.2f} s", Reason.DAMAGED)
        if self._first is None:
            self._first = picture
        elif picture.size != self._first.size:
            raise Refused(f"changes its size at {picture.time_s:.2f} s", Reason.PICTURE)
        if self._seen_s and picture.time_s <= self._seen_s[-1]:
            self._num_disordered += 1
            return
        self._see(picture.time_s)
        if self._is_due(picture.time_s):
            self._kept_s.append(picture.time_s - self.start_s)
            self._frames.append(picture.jpeg)
            self._light.add(picture.luma)

    def _see(self, time_s: float) -> None:
        self._seen_s.append(time_s)
        # The cap holds while decoding too: a header may lie.
        if time_s - self.start_s > self._recipe.max_duration_s:
            self._recipe.check_duration(time_s - self.start_s)

    def _is_due(self, time_s: float) -> bool:
        # At most one frame in each tick of max_fps: an even thinning, whatever the rate of the source.
        if not self._kept_s:
            return True
        max_fps = self._recipe.max_fps
        return tick_of(time_s - self.start_s, max_fps) > tick_of(self._kept_s[-1], max_fps)

    def _checked_end(self, ended_s: float, declared_s: float | None) -> float:
        if declared_s is not None and ended_s < _TRUNCATED_SHARE * declared_s - _END_TOLERANCE_S:
            message = f"is cut off: {ended_s:.2f} s of the {declared_s:.2f} s that it declares could be decoded"
            raise Refused(message, Reason.CUT_OFF)
        return ended_s

    def _check_order(self) -> None:
        if self._num_disordered > _MAX_DISORDER * len(self._seen_s):
            raise Refused("its time stamps stand still or go backwards", Reason.TIMES)

    def _finish(self, end_s: float) -> None:
        self._check_order()
        if self._first is None or len(self._seen_s) < 2:
            message = f"has {len(self._seen_s)} frames between {self.start_s:.2f} s and {end_s:.2f} s"
            raise Refused(message, Reason.DURATION)
        self._check_times(end_s)
        self._recipe.check_duration(end_s - self.start_s)
        width, height = self._first.size
        facts = Facts(
            start_s=self.start_s,
            end_s=end_s,
            codec=self._first.codec,
            width=width,
            height=height,
            fps=(len(self._seen_s) - 1) / (self._seen_s[-1] - self._seen_s[0]),
            rotation=self._first.rotation,
            brightness=self._light.brightness,
            contrast=self._light.contrast,
            sharpness=self._light.sharpness,
            motion=self._light.motion,
        )
        stored_height, stored_width = self._first.luma.shape
        self._outcome = DecodedClip(
            facts, stored_width, stored_height, self._kept_s, self._frames, self._num_disordered
        )

    def _check_times(self, end_s: float) -> None:
        intervals_s = np.diff([self.start_s, *self._seen_s, end_s])
        limit_s = max(_GAP_S, _GAP_INTERVALS * float(np.median(intervals_s)))
        if intervals_s.max() > limit_s:
            at_s = [self.start_s, *self._seen_s][int(intervals_s.argmax())]
            message = f"has no frames for {intervals_s.max():.1f} s after {at_s:.2f} s; cut it there"
            raise Refused(message, Reason.TIMES)
