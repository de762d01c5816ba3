from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from av.video.reformatter import Colorspace

from tasks.video.clips import DecodedClip, Job, Recipe, Refused, Segment
from tasks.video.decode import decode
from tests.support.videos import flipped, pictures, truncated, write_video

RECIPE = Recipe(short_side=32, max_fps=10.0, jpeg_quality=95, min_duration_s=0.5, max_duration_s=20.0)
FAST_START = {"movflags": "faststart"}


def decoded(path: Path, *segments: Segment, recipe: Recipe = RECIPE) -> list[DecodedClip | Refused]:
    return decode(Job(str(path), segments or (Segment(),), recipe))


def clip_of(path: Path, *segments: Segment, recipe: Recipe = RECIPE) -> DecodedClip:
    outcome = decoded(path, *segments, recipe=recipe)[0]
    assert isinstance(outcome, DecodedClip), outcome
    return outcome


def reason_of(path: Path, *segments: Segment, recipe: Recipe = RECIPE) -> str:
    outcome = decoded(path, *segments, recipe=recipe)[0]
    assert isinstance(outcome, Refused), outcome
    return str(outcome)


def shown(clip: DecodedClip) -> np.ndarray:
    return np.stack([simplejpeg.decode_jpeg(frame) for frame in clip.frames])


def test_a_whole_file_becomes_a_clip(tmp_path: Path) -> None:
    clip = clip_of(write_video(tmp_path / "a.mp4", pictures(20)))
    assert (clip.width, clip.height) == (42, 32)
    assert clip.times_s == pytest.approx([0.1 * frame for frame in range(20)])
    assert (clip.facts.width, clip.facts.height, clip.facts.codec, clip.facts.rotation) == (64, 48, "h264", 0)
    assert clip.facts.fps == pytest.approx(10.0)
    assert (clip.facts.start_s, clip.facts.end_s) == (0.0, pytest.approx(2.0, abs=0.02))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "avi", "ts"])
def test_containers_give_the_same_pictures(tmp_path: Path, suffix: str) -> None:
    recipe = Recipe(48, 10.0, 95, 0.5, 20.0)
    clip = clip_of(write_video(tmp_path / f"a.{suffix}", pictures(20)), recipe=recipe)
    assert len(clip.frames) == 20
    error = np.abs(shown(clip).astype(int) - np.stack(pictures(20)).astype(int)).mean()
    assert error < 6.0


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "libvpx", "libvpx-vp9", "libsvtav1", "mjpeg"])
def test_codecs_of_the_list_are_taken(tmp_path: Path, codec: str) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / "a.mkv", pictures(10, 128, 96), codec=codec, pix_fmt=pix_fmt)
    assert len(clip_of(path).frames) == 10


@pytest.mark.parametrize(("turned", "clockwise"), [(90, 270), (180, 180), (270, 90)])
def test_rotation_is_applied(tmp_path: Path, turned: int, clockwise: int) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = (250, 30, 30)
    # What a camera that is held askew writes: players turn it by `turned` degrees against the clock.
    written = np.rot90(upright, -turned // 90)
    clip = clip_of(write_video(tmp_path / "a.mp4", [written] * 10, rotation=turned))
    assert (clip.facts.width, clip.facts.height, clip.facts.rotation) == (96, 64, clockwise)
    frame = shown(clip)[0].astype(int)
    assert frame.shape == (32, 48, 3)
    assert frame[4:12, 4:20, 0].mean() > 200
    assert frame[20:, :, 0].mean() < 40
    assert frame[:, 28:, 0].mean() < 40


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(10, 48, 64), sample_aspect_ratio=Fraction(2))
    clip = clip_of(path)
    assert (clip.facts.width, clip.facts.height) == (96, 64)


@pytest.mark.parametrize(("colorspace", "height"), [(1, 720), (5, 480), (2, 720), (2, 480)])
def test_colours_survive_whatever_matrix_the_file_uses(tmp_path: Path, colorspace: int, height: int) -> None:
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [128, 128, 128]], np.uint8)
    picture = np.repeat(np.repeat(colours[None], height, 0), height // 4, 1)
    uses_709 = colorspace == 1 or (colorspace == 2 and height >= 720)
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "qp": "4"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = colorspace
        for _ in range(6):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709 if uses_709 else Colorspace.ITU601
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frame = shown(clip_of(path))[0].astype(int)
    for index, colour in enumerate(colours.astype(int)):
        assert np.abs(frame[8:24, 8 * index + 3 : 8 * index + 5].mean((0, 1)) - colour).max() < 6


def test_a_fast_source_is_thinned_by_presentation_time(tmp_path: Path) -> None:
    clip = clip_of(write_video(tmp_path / "a.mp4", pictures(60), fps=30))
    assert clip.facts.fps == pytest.approx(30.0, abs=0.01)
    assert clip.times_s == pytest.approx([0.1 * frame for frame in range(20)], abs=0.002)


def test_a_variable_rate_is_kept_in_time(tmp_path: Path) -> None:
    times_s = [0.0, 0.02, 0.05, 0.3, 0.32, 0.7, 0.71, 0.72, 0.9, 1.2]
    clip = clip_of(write_video(tmp_path / "a.mkv", pictures(10), times_s=times_s))
    assert clip.times_s == pytest.approx([0.0, 0.3, 0.7, 0.9, 1.2])


def test_segments_are_cut_in_one_pass_and_may_overlap(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(60))
    segments = [Segment(0.0, 2.0), Segment(1.0, 3.0), Segment(4.0, None)]
    first, second, last = decoded(path, *segments)
    assert isinstance(first, DecodedClip)
    assert isinstance(second, DecodedClip)
    assert isinstance(last, DecodedClip)
    assert [len(clip.frames) for clip in (first, second, last)] == [20, 20, 20]
    assert first.frames[10:] == second.frames[:10]
    assert (second.facts.start_s, second.facts.end_s) == (1.0, 3.0)
    assert last.facts.end_s == pytest.approx(6.0, abs=0.02)


def test_seeking_gives_what_decoding_from_the_start_gives(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", pictures(200))
    late = Segment(14.3, 16.0)
    assert clip_of(path, late).frames == decoded(path, Segment(0.0, 1.0), late)[1].frames  # type: ignore[union-attr]


def test_times_count_from_the_start_of_the_stream(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", pictures(20), times_s=[5.0 + 0.1 * frame for frame in range(20)])
    assert clip_of(path).times_s[:2] == pytest.approx([0.0, 0.1])


def test_measures_follow_what_is_shown(tmp_path: Path) -> None:
    grey = [np.full((48, 64, 3), 100, np.uint8)] * 10
    still = clip_of(write_video(tmp_path / "grey.mp4", grey)).facts
    assert still.brightness == pytest.approx(100.0, abs=2.0)
    assert still.contrast < 1.0
    assert still.motion < 0.2
    moving = clip_of(write_video(tmp_path / "moving.mp4", pictures(10))).facts
    assert moving.motion > 1.0
    assert moving.contrast > 10.0
    assert moving.sharpness > 10 * still.sharpness


@pytest.mark.parametrize("size", [(65, 49), (171, 129), (33, 97)])
def test_odd_sizes_give_the_same_bytes_every_time(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "a.mkv", pictures(12, *size), pix_fmt="yuv444p")
    clips = []
    for number in range(5):
        _elsewhere = [np.full(1000 * number + 7, number, np.uint8) for _ in range(50)]
        clips.append(clip_of(path))
    assert (clips[0].width % 2, clips[0].height % 2) == (0, 0)
    assert all(clip.frames == clips[0].frames for clip in clips)


class TestRefusal:
    @pytest.mark.parametrize("share", [0.5, 0.9])
    @pytest.mark.parametrize("suffix", ["mp4", "mkv"])
    def test_a_cut_stream(self, tmp_path: Path, suffix: str, share: float) -> None:
        options = FAST_START if suffix == "mp4" else None
        path = write_video(tmp_path / f"a.{suffix}", pictures(40), container_options=options)
        reason = reason_of(truncated(path, share))
        assert "is cut off" in reason or "is damaged" in reason or "cannot be decoded beyond" in reason

    def test_too_short(self, tmp_path: Path) -> None:
        assert "less than ingest.min_duration_s (0.5)" in reason_of(write_video(tmp_path / "a.mp4", pictures(3)))

    def test_too_long(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", pictures(300))
        assert "more than ingest.max_duration_s (20): cut it into windows" in reason_of(path)

    def test_a_single_frame(self, tmp_path: Path) -> None:
        recipe = Recipe(32, 10.0, 95, 0.01, 20.0)
        assert reason_of(write_video(tmp_path / "a.mp4", pictures(1)), recipe=recipe).startswith("has 1 frame")

    def test_a_segment_beyond_the_end_leaves_the_others(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", pictures(40))
        inside, across, beyond = decoded(path, Segment(0.0, 2.0), Segment(3.0, 9.0), Segment(7.0, 9.0))
        assert isinstance(inside, DecodedClip)
        assert str(across) == "ends at 9.00 s by the table, but the video lasts 4.00 s"
        assert "lasts 4.00 s" in str(beyond)

    def test_damage_late_in_a_file_leaves_what_came_before(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.mp4", pictures(60), container_options=FAST_START, gop_size=10)
        early, late = decoded(flipped(path, 0.85), Segment(0.0, 1.0), Segment(0.0, 6.0))
        assert isinstance(early, DecodedClip)
        assert isinstance(late, Refused)
