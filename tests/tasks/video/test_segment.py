"""What no encoder writes by itself, and a broken recorder does."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from tasks.video.clips import WHOLE, DecodedClip, Recipe, Refused, Segment
from tasks.video.picture import Picture
from tasks.video.segment import ClipBuilder

RECIPE = Recipe(short_side=32, max_fps=10.0, jpeg_quality=90, min_duration_s=0.5, max_duration_s=20.0)


@dataclass
class FakePicture:
    time_s: float
    damaged: bool = False
    size: tuple[int, int] = (64, 48)
    codec: str = "h264"
    rotation: int = 0
    jpeg: bytes = b"jpeg"

    @property
    def luma(self) -> np.ndarray:
        return np.zeros((32, 42), np.uint8)


def build(*pictures: FakePicture, segment: Segment = WHOLE, declared_s: float | None = None) -> DecodedClip | Refused:
    builder = ClipBuilder(segment, RECIPE)
    builder.check_declared(declared_s)
    for picture in pictures:
        builder.add(cast("Picture", picture))
    builder.end_of_file(pictures[-1].time_s + 0.1, declared_s)
    return builder.outcome


def at(*times_s: float) -> list[FakePicture]:
    return [FakePicture(time_s) for time_s in times_s]


def steady(num_frames: int) -> list[FakePicture]:
    return at(*(0.1 * number for number in range(num_frames)))


def test_time_that_stands_still() -> None:
    assert str(build(*at(*[0.0] * 10, 0.9))) == "its time stamps stand still or go backwards"


def test_time_that_goes_backwards() -> None:
    assert str(build(*at(0.0, 0.5, 0.4, 0.3, 0.6, 0.2, 0.7))) == "its time stamps stand still or go backwards"


def test_a_frame_now_and_then_at_the_time_of_the_one_before_is_left_out() -> None:
    clip = build(*steady(10), *at(0.9), *at(1.0, 1.1, 1.2))
    assert isinstance(clip, DecodedClip)
    assert len(clip.frames) == 13


def test_a_header_that_promises_too_little_does_not_help() -> None:
    outcome = build(*steady(400), declared_s=3.0)
    assert "more than ingest.max_duration_s (20)" in str(outcome)


@pytest.mark.parametrize(("declared_s", "taken"), [(2.0, True), (2.2, True), (3.0, False), (None, True)])
def test_a_file_that_ends_early(declared_s: float | None, taken: bool) -> None:
    outcome = build(*steady(20), declared_s=declared_s)
    assert isinstance(outcome, DecodedClip) is taken
    if not taken:
        assert str(outcome) == "is cut off: 2.00 s of the 3.00 s that it declares could be decoded"


def test_a_frame_that_the_decoder_had_to_make_up() -> None:
    pictures = steady(10)
    pictures[7].damaged = True
    assert str(build(*pictures)) == "is damaged at 0.70 s"
    assert isinstance(build(*pictures, segment=Segment(0.0, 0.6)), DecodedClip)


def test_a_size_that_changes() -> None:
    pictures = steady(10)
    pictures[5].size = (48, 64)
    assert str(build(*pictures)) == "changes its size at 0.50 s"


@pytest.mark.parametrize(("end_s", "taken"), [(1.0, True), (2.2, True), (2.5, False)])
def test_a_table_may_round_the_end(end_s: float, taken: bool) -> None:
    assert isinstance(build(*steady(20), segment=Segment(0.0, end_s)), DecodedClip) is taken


def test_a_hole_at_the_end_of_a_segment() -> None:
    outcome = build(*at(*(0.1 * n for n in range(10)), 6.0), segment=Segment(0.0, 4.0))
    assert str(outcome) == "has no frames for 3.1 s after 0.90 s; cut it there"
