"""Bad video of every kind, each generated: how it is made, and what must be said of it."""

import os
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import ColorPrimaries, ColorTrc

from tasks.video.clips import Limits, Reason
from tasks.video.structure import ebml_length
from tests.support.videos import flipped, pictures, truncated, write_sound, write_video

FAST_START = {"movflags": "faststart"}
Make = Callable[[Path], Path]
_USUAL = Limits()


@dataclass(frozen=True)
class Case:
    """One kind of video.

    Attributes:
        make: Writes it into a folder.
        reasons: Any of which may be given; empty where the video must be taken.
        says: Part of the message.
        num_frames: That must be stored, where it is taken.
        size: As displayed, where it is taken.
        limits: Under which it is decoded.
    """

    make: Make
    reasons: tuple[Reason, ...] = ()
    says: str = ""
    num_frames: int = 20
    size: tuple[int, int] = (64, 48)
    limits: Limits = _USUAL


def taken(make: Make, num_frames: int = 20, size: tuple[int, int] = (64, 48)) -> Case:
    """A case that must be taken, whole."""
    return Case(make, num_frames=num_frames, size=size)


def refused(make: Make, *reasons: Reason, says: str = "", limits: Limits = _USUAL) -> Case:
    """A case that must be refused, for one of ``reasons``."""
    return Case(make, reasons, says, limits=limits)


def good(folder: Path, suffix: str = "mp4", *, num_frames: int = 20, name: str = "a", fast_start: bool = False) -> Path:
    """A file that is as it should be."""
    options = FAST_START if fast_start else None
    return write_video(folder / f"{name}.{suffix}", pictures(num_frames), container_options=options)


def written(content: bytes, suffix: str = "mp4") -> Make:
    """A file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / f"a.{suffix}"
        path.write_bytes(content)
        return path

    return make


def edited(edit: Callable[[bytes], bytes], suffix: str = "mp4", *, fast_start: bool = False) -> Make:
    """A good file whose bytes were changed."""

    def make(folder: Path) -> Path:
        path = good(folder, suffix, num_frames=40, fast_start=fast_start)
        path.write_bytes(edit(path.read_bytes()))
        return path

    return make


def without_last(num_bytes: int) -> Callable[[bytes], bytes]:
    """Cut off."""
    return lambda content: content[:-num_bytes]


def at(marker: bytes, offset: int, field: bytes) -> Callable[[bytes], bytes]:
    """Put ``field`` so many bytes behind the start of ``marker``."""

    def edit(content: bytes) -> bytes:
        start = content.index(marker) + offset
        return content[:start] + field + content[start + len(field) :]

    return edit


def zip_behind(content: bytes) -> bytes:
    """The file, and an archive behind it: both open."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("run.sh", "#!/bin/sh\n")
    return content + archive.getvalue()


def timed(times_s: list[float], suffix: str = "mkv") -> Make:
    """Frames that are shown when ``times_s`` says."""
    return lambda folder: write_video(folder / f"a.{suffix}", pictures(len(times_s)), times_s=times_s)


def stamped(stamp_of: Callable[[int], int]) -> Make:
    """A transport stream of pictures that stand alone, whose time stamps in seconds/90,000 ``stamp_of`` makes up."""

    def make(folder: Path) -> Path:
        path = write_video(folder / "a.ts", pictures(20), gop_size=1, max_b_frames=0)
        *others, last = path.read_bytes().split(_PICTURE_STARTS)
        content = others[0]
        for number, rest in enumerate([*others[1:], last]):
            content += _PICTURE_STARTS + rest[:5] + _clock(stamp_of(number)) + rest[10:]
        path.write_bytes(content)
        return path

    return make


_PICTURE_STARTS = b"\x00\x00\x01\xe0"


def _clock(ticks: int) -> bytes:
    """33 bits of a time stamp, as ISO/IEC 13818-1 scatters them."""
    bits = (2 << 4 | (ticks >> 30 & 7) << 1 | 1) << 32
    return (bits | (ticks >> 15 & 0x7FFF) << 17 | 1 << 16 | (ticks & 0x7FFF) << 1 | 1).to_bytes(5, "big")


def huge(folder: Path) -> Path:
    """8192 x 8192 pixels that say so."""
    return write_video(folder / "a.avi", [np.zeros((8192, 8192, 3), np.uint8)], codec="mjpeg", pix_fmt="yuvj420p")


def huge_in_a_small_frame(folder: Path) -> Path:
    """8192 x 8192 pixels of which the container says that they are 64 x 48."""
    path = huge(folder)
    side = struct.pack("<II", 8192, 8192)
    path.write_bytes(path.read_bytes().replace(side, struct.pack("<II", 64, 48)))
    return path


def interlaced(folder: Path) -> Path:
    """Fields of two instants woven into each frame."""
    woven = pictures(40)
    shown = [np.where((np.arange(48) % 2 == 0)[:, None, None], woven[n], woven[n + 1]) for n in range(0, 40, 2)]
    return write_video(folder / "a.ts", shown, options={"x264-params": "interlaced=1"})


def two_streams(folder: Path, *, default: bool = False) -> Path:
    """A small picture and a large one; the small one may be marked as default."""
    path = folder / "a.mkv"
    with av.open(str(path), "w") as file:
        sizes = ((64, 48), (128, 96))
        streams = [file.add_stream("libx264", rate=10, width=width, height=height) for width, height in sizes]
        if default:
            streams[0].disposition = Disposition.default
        for number in range(20):
            for stream in streams:
                picture = pictures(1, stream.width, stream.height, seed=number)[0]
                file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        for stream in streams:
            file.mux(stream.encode())
    return path


def words_in_latin(folder: Path) -> Path:
    """A title as older recorders write it, which is no UTF-8."""
    path = folder / "a.avi"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Xylophon"
        stream = file.add_stream("mpeg4", rate=10, width=64, height=48)
        for picture in pictures(20):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"Xylophon", b"Stra\xdfe 1"))
    return path


def hdr(transfer: ColorTrc, *, suffix: str = "mkv") -> Make:
    """Ten bits of BT.2020."""

    def make(folder: Path) -> Path:
        colours = {"color_primaries": int(ColorPrimaries.BT2020), "colorspace": _BT2020}
        return write_video(
            folder / f"a.{suffix}",
            pictures(20),
            codec="libx265",
            color_trc=int(transfer),
            pix_fmt="yuv420p10le",
            **colours,
        )

    return make


_BT2020 = 9


def dolby_vision(profile: int, compatibility: int) -> Make:
    """PQ with the record of Dolby Vision: profile, and what the base layer is for others, 0 for nothing."""

    def make(folder: Path) -> Path:
        path = hdr(ColorTrc.SMPTE2084, suffix="mp4")(folder)
        content = bytearray(path.read_bytes())
        record = bytes([1, 0, profile << 1, 0x0D, compatibility << 4]) + bytes(19)
        box = struct.pack(">I", 8 + len(record)) + b"dvcC" + record
        entry = content.index(b"hev1") - 4
        end = entry + int.from_bytes(content[entry : entry + 4], "big")
        for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):
            at = content.index(name) - 4
            size = int.from_bytes(content[at : at + 4], "big") + len(box)
            content[at : at + 4] = struct.pack(">I", size)
        path.write_bytes(content[:end] + box + content[end:])
        return path

    return make


def dolby_vision_in_matroska(profile: int, compatibility: int) -> Make:
    """The same, as Matroska carries it: a block addition mapping of the track."""

    def make(folder: Path) -> Path:
        path = hdr(ColorTrc.SMPTE2084)(folder)
        record = bytes([1, 0, profile << 1, 0x0D, compatibility << 4]) + bytes(19)
        mapping = _element(b"\x41\xe4", _element(b"\x41\xe7", b"dvcC") + _element(b"\x41\xed", record))
        path.write_bytes(_with_element(path.read_bytes(), (_SEGMENT, _TRACKS, _TRACK), mapping))
        return path

    return make


_SEGMENT, _TRACKS, _TRACK = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"
_POSITIONS = (b"\x11\x4d\x9b\x74", b"\x1c\x53\xbb\x6b")


def _with_element(content: bytes, path: Sequence[bytes], added: bytes) -> bytes:
    """EBML with one element more at the end of those at ``path``, without lists of positions, which would be wrong."""
    if not path:
        return content + added
    changed, at = b"", 0
    while at < len(content):
        start = at + 9 - content[at].bit_length()
        length, length_size = ebml_length(content[start:])
        assert length is not None
        identity, at = content[at:start], start + length_size + length
        inside = content[start + length_size : at]
        inside = _with_element(inside, path[1:], added) if identity == path[0] else inside
        changed += b"" if identity in _POSITIONS else _element(identity, inside)
    return changed


def _element(identity: bytes, content: bytes) -> bytes:
    return identity + ((1 << 56) + len(content)).to_bytes(8, "big") + content


def fifo(folder: Path) -> Path:
    """What never ends, and never begins."""
    os.mkfifo(folder / "a.mp4")
    return folder / "a.mp4"


def device(folder: Path) -> Path:
    """What never ends."""
    (folder / "a.mp4").symlink_to("/dev/zero")
    return folder / "a.mp4"


def named(name: str) -> Make:
    """A good file of this name."""
    return lambda folder: good(folder, name=name)


def unclosed(folder: Path) -> Path:
    """A recording that was written as it came: its container does not say how long it is."""
    return write_video(folder / "a.mkv", pictures(20), container_options={"live": "1"})


_R = Reason
_DAMAGE = (_R.DAMAGED, _R.CUT_OFF)
_BROKEN_INDEX = (_R.DAMAGED, _R.CUT_OFF, _R.CONTAINER, _R.NO_VIDEO, _R.TIMES, _R.TRAILING, _R.PICTURE, _R.DURATION)
_TICKS = 9_000
_HLS = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"

CORPUS: dict[str, Case] = {
    "zero length": refused(written(b""), _R.FILE, says="is empty (0 bytes)"),
    "text": refused(written(b"not a video at all\n" * 50), _R.CONTAINER, says="cannot be read as video"),
    "random bytes": refused(written(np.random.default_rng(0).bytes(20_000)), _R.CONTAINER),
    "nothing but zeros": refused(written(bytes(20_000)), _R.CONTAINER),
    "a named pipe": refused(fifo, _R.FILE, says="is not a regular file"),
    "an endless device": refused(device, _R.FILE, says="is not a regular file"),
    "cut before its index": refused(edited(lambda content: content[:-900]), _R.CUT_OFF, says="is cut off"),
    "cut in half": refused(lambda folder: truncated(good(folder, fast_start=True), 0.5), _R.CUT_OFF),
    "matroska cut in half": refused(lambda folder: truncated(good(folder, "mkv"), 0.5), _R.CUT_OFF),
    "avi cut in half": refused(lambda folder: truncated(good(folder, "avi"), 0.5), _R.CUT_OFF),
    "last 64 bytes cut, mp4": refused(edited(without_last(64)), _R.CUT_OFF),
    "last 64 bytes cut, index in front": refused(edited(without_last(64), fast_start=True), _R.CUT_OFF),
    "last 64 bytes cut, matroska": refused(edited(without_last(64), "mkv"), _R.CUT_OFF),
    "last 64 bytes cut, webm": refused(
        lambda folder: truncated(write_video(folder / "a.webm", pictures(20), codec="libvpx"), 0.97), _R.CUT_OFF
    ),
    "last 64 bytes cut, avi": refused(edited(without_last(64), "avi"), _R.CUT_OFF),
    "last 64 bytes cut, transport stream": refused(edited(without_last(64), "ts"), _R.CUT_OFF),
    "bits flipped in the frames": refused(
        lambda folder: flipped(good(folder, num_frames=40, fast_start=True), 0.5, num_bytes=1024), *_DAMAGE
    ),
    "bits flipped in the index": refused(
        edited(lambda content: at(b"stbl", 20, bytes(255 - byte for byte in content[:300]))(content)), *_BROKEN_INDEX
    ),
    "lying sample sizes": refused(edited(at(b"stsz", 16, struct.pack(">I", 0x7FFFFFF0))), *_BROKEN_INDEX),
    "lying offsets of samples": refused(edited(at(b"stco", 12, struct.pack(">I", 0x7FFFFFF0))), *_BROKEN_INDEX),
    "lying number of samples": refused(edited(at(b"stsz", 12, struct.pack(">I", 0x0FFFFFFF))), *_BROKEN_INDEX),
    "lying duration, an hour": taken(edited(at(b"mdhd", 20, struct.pack(">I", 36_000_000))), num_frames=40),
    "lying duration, matroska": taken(edited(at(b"\x44\x89\x88", 3, struct.pack(">d", 3.6e6)), "mkv"), num_frames=40),
    "lying size in the header": taken(
        edited(lambda content: at(b"avc1\0\0\0\0", 28, struct.pack(">HH", 65_535, 65_535))(content)), num_frames=40
    ),
    "sound alone": refused(lambda folder: write_sound(folder / "a.mp4"), _R.NO_VIDEO, says="only sound"),
    "av1": taken(lambda folder: write_video(folder / "a.mp4", pictures(20), codec="libsvtav1")),
    "a codec that is not taken": refused(
        lambda folder: write_video(folder / "a.mkv", pictures(20), codec="ffv1"), _R.CODEC, says="its codec ffv1"
    ),
    "webm called mp4": taken(
        lambda folder: write_video(folder / "a.webm", pictures(20), codec="libvpx").rename(folder / "a.mp4")
    ),
    "gif called mp4": refused(
        lambda folder: write_video(folder / "a.gif", pictures(20), codec="gif", pix_fmt="rgb8").rename(
            folder / "a.mp4"
        ),
        _R.CONTAINER,
    ),
    "a list of files called mp4": refused(
        lambda folder: written(f"ffconcat version 1.0\nfile {good(folder, name='secret').name}\n".encode())(folder),
        _R.CONTAINER,
    ),
    "a playlist": refused(written(_HLS, "m3u8"), _R.CONTAINER),
    "a playlist called mp4": refused(written(_HLS), _R.CONTAINER),
    "a description of a session": refused(
        written(b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n", "sdp"), _R.CONTAINER
    ),
    "an archive behind mp4": refused(edited(zip_behind), _R.TRAILING, says="ZIP archive"),
    "an archive behind matroska": refused(edited(zip_behind, "mkv"), _R.TRAILING, says="ZIP archive"),
    "text behind mp4": refused(edited(lambda content: content + b"<script>" * 9), _R.TRAILING, says="72 bytes behind"),
    "text behind avi": refused(edited(lambda content: content + b"<script>" * 9, "avi"), _R.TRAILING),
    "zeros behind mp4": taken(edited(lambda content: content + bytes(1000)), num_frames=40),
    "pq": taken(hdr(ColorTrc.SMPTE2084)),
    "hlg": taken(hdr(ColorTrc.ARIB_STD_B67)),
    "dolby vision without a base layer": refused(dolby_vision(5, 0), _R.HDR, says="is Dolby Vision without a base"),
    "dolby vision over pq": taken(dolby_vision(8, 1)),
    "dolby vision without a base layer, matroska": refused(
        dolby_vision_in_matroska(5, 0), _R.HDR, says="is Dolby Vision without a base"
    ),
    "dolby vision over pq, matroska": taken(dolby_vision_in_matroska(8, 1)),
    "turned by 90 degrees": taken(
        lambda folder: write_video(folder / "a.mp4", pictures(20), rotation=90), size=(48, 64)
    ),
    "odd size": taken(
        lambda folder: write_video(folder / "a.mkv", pictures(20, 65, 49), pix_fmt="yuv444p"), size=(65, 49)
    ),
    "a single frame": refused(lambda folder: write_video(folder / "a.mp4", pictures(1)), _R.DURATION),
    "two pixels": refused(
        lambda folder: write_video(folder / "a.mkv", [np.zeros((8, 64, 3), np.uint8)] * 10, codec="mpeg4"), _R.PICTURE
    ),
    "variable frame rate": taken(timed([0.0, 0.02, 0.05, 0.3, 0.32, 0.7, 0.71, 0.72, 0.9, 1.2]), num_frames=5),
    "a gap": refused(timed([0.1 * n + (50.0 if n >= 10 else 0.0) for n in range(20)]), _R.TIMES, _R.DURATION),
    "a gap of some seconds": refused(
        timed([0.1 * n + (8.0 if n >= 10 else 0.0) for n in range(20)]), _R.TIMES, says="has no frames for 8.1 s"
    ),
    "all time stamps alike": refused(stamped(lambda _: 90_000), _R.TIMES),
    "time stamps go backwards": refused(stamped(lambda number: 900_000 - _TICKS * number), _R.TIMES),
    # The file's own list of edits hides what comes before zero, from every player.
    "time stamps begin below zero": taken(timed([0.1 * n - 1.0 for n in range(30)], "mp4")),
    "time stamps begin late": taken(timed([5.0 + 0.1 * n for n in range(20)])),
    "8192 x 8192": refused(huge, _R.PICTURE, says="max_pixels (35,389,440)"),
    "8192 x 8192 called 64 x 48": refused(huge_in_a_small_frame, _R.PICTURE, says="max_pixels (35,389,440)"),
    "a bomb": refused(
        lambda folder: write_video(folder / "a.mkv", [np.zeros((480, 640, 3), np.uint8)] * 40),
        _R.BUDGET,
        says="max_decoded_gigapixels (0.005)",
        limits=Limits(max_decoded_gigapixels=0.005),
    ),
    "a large file": refused(good, _R.BUDGET, says="max_file_gb", limits=Limits(max_file_gb=1e-6)),
    "a name of other directions": taken(named("a\u202e4pm.\u2066b\u0301\N{ZERO WIDTH JOINER}")),
    "a name that is an option": taken(named("-i concat:b|c")),
    "words in another alphabet": taken(words_in_latin),
    "interlaced": taken(interlaced),
    "two streams of video": taken(two_streams, size=(128, 96)),
    "two streams, the smaller one by default": taken(lambda folder: two_streams(folder, default=True)),
    "no length in the container": taken(unclosed),
}
