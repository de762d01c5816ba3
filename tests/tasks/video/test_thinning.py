"""Frames that are neither stored nor referred to are not decoded, and nothing else changes."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tasks.video.clips import WHOLE, DecodedClip, Job, Recipe, Refused, Segment
from tasks.video.decode import decode
from tasks.video.segment import ClipBuilder
from tasks.video.thinning import Passed, Thinning, Unforeseen
from tests.support.videos import pictures, write_video

B_FRAMES = "bframes=3:b-adapt=0:keyint=40"
SOME = Recipe(short_side=32, max_fps=10.0, jpeg_quality=90, min_duration_s=0.2, max_duration_s=20.0)
ALL = Recipe(short_side=32, max_fps=240.0, jpeg_quality=90, min_duration_s=0.2, max_duration_s=20.0)


def film(path: Path, num_frames: int = 41, *, parameters: str = "") -> Path:
    options = {"x264-params": B_FRAMES + parameters}
    return write_video(path, pictures(num_frames), fps=20, options=options)


def outcomes(path: Path, recipe: Recipe, *segments: Segment) -> list[DecodedClip | Refused]:
    return decode(Job(str(path), segments or (WHOLE,), recipe))


def clip_of(path: Path, recipe: Recipe, segment: Segment = WHOLE) -> DecodedClip:
    [outcome] = outcomes(path, recipe, segment)
    assert isinstance(outcome, DecodedClip), outcome
    return outcome


def packets(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def passed(path: Path, *segments: Segment) -> list[av.Packet]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        thinning = Thinning(segments or (WHOLE,), SOME, stream.codec_context.extradata)
        return [
            packet for packet in container.demux(stream) if packet.size and thinning.passes(packet, stream.start_time)
        ]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_what_is_stored_is_what_decoding_all_gives(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a.{suffix}")
    assert len(passed(path)) > 0.25 * len(packets(path))
    some, every = clip_of(path, SOME), clip_of(path, ALL)
    assert some.frames == every.frames[::2]
    assert some.times_s == every.times_s[::2]
    assert (some.facts.fps, some.facts.end_s) == (every.facts.fps, every.facts.end_s)


def test_stretches_of_a_file_have_their_own_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 280)
    for segments in ((Segment(0.5, 1.0), Segment(1.05, 2.0)), (Segment(11.02, 12.5), Segment(13.0, None))):
        some, every = outcomes(path, SOME, *segments), outcomes(path, ALL, *segments)
        for thinned, whole in zip(some, every, strict=True):
            assert isinstance(thinned, DecodedClip)
            assert isinstance(whole, DecodedClip)
            frame_at = dict(zip(whole.times_s, whole.frames, strict=True))
            assert thinned.frames == [frame_at[time_s] for time_s in thinned.times_s]
            assert (thinned.facts.fps, thinned.facts.end_s) == (whole.facts.fps, whole.facts.end_s)


def test_damage_where_nobody_looks(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    before = clip_of(path, SOME)
    content = bytearray(path.read_bytes())
    for packet in passed(path):
        start = packet.pos + 5  # the length and the header of the only slice stay
        content[start : packet.pos + packet.size] = bytes(packet.size - 5)
    path.write_bytes(content)
    assert isinstance(outcomes(path, ALL)[0], Refused)
    assert clip_of(path, SOME) == before


def test_damage_in_what_others_refer_to(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    spared = {packet.pos for packet in passed(path)}
    victim = next(packet for packet in packets(path)[8:] if packet.pos not in spared and packet.size > 40)
    content = bytearray(path.read_bytes())
    content[victim.pos + 6 : victim.pos + victim.size] = bytes(victim.size - 6)
    path.write_bytes(content)
    assert isinstance(outcomes(path, SOME)[0], Refused)


def test_without_b_frames_all_is_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(40), fps=20, options={"x264-params": "bframes=0"})
    assert passed(path) == []


def test_interlaced_video_is_decoded_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "a.ts", parameters=":interlaced=1")
    assert clip_of(path, SOME).frames == clip_of(path, ALL).frames[::2]


def test_a_passed_frame_that_should_be_stored_is_noticed() -> None:
    builder = ClipBuilder(WHOLE, SOME)
    with pytest.raises(Unforeseen):
        builder.add(Passed(0.0, 0.05))


def test_a_frame_that_comes_after_one_that_was_passed_is_noticed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        thinning = Thinning((WHOLE,), SOME, stream.codec_context.extradata)
        shown_s = [
            float((packet.pts - stream.start_time) * packet.time_base)
            for packet in container.demux(stream)
            if packet.size and thinning.passes(packet, stream.start_time)
        ]
    assert [passed.time_s for passed in thinning.before(1.01)] == sorted(time_s for time_s in shown_s if time_s < 1.01)
    with pytest.raises(Unforeseen):
        list(thinning.before(min(shown_s)))


def test_only_units_that_nobody_needs_are_passed() -> None:
    class Packet(bytes):
        is_corrupt = is_discard = False
        time_base, duration, pts = Fraction(1, 100), 5, 0

    avcc = b"\x01\x64\x00\x1f\xff\xe1"
    for extradata, before in ((avcc, b"\x00\x00\x00\x02"), (b"\x00\x00\x00\x01\x67", b"\x00\x00\x00\x01")):
        cases = {b"\x01\x80": True, b"\x21\x80": False, b"\x65\x80": False, b"\x67\x80": False}
        for unit, may_pass in cases.items():
            thinning = Thinning((WHOLE,), SOME, extradata)
            assert not thinning.passes(Packet(before + b"\x65\x80"), 0)
            packet = Packet(before + b"\x06\x80" + before + unit)
            packet.pts = 5
            assert thinning.passes(packet, 0) is may_pass
