"""The same stored clips in other formats, to be read at random: what another choice than our shards costs.

Each class writes clips to a folder and gives the 16 frames of a random window back. Formats of JPEG hold the very bytes
of our shards and are decoded by the same decoder, so that they differ in the container alone.
"""

import io
import itertools
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from bench.seeking import FPS, INPUT, random_start
from models.clips.sampling import frame_indices

Jpegs = Sequence[bytes]
Read = Callable[[], NDArray[np.uint8]]
_TIMES_S = np.arange(300) / FPS
_PER_FILE = 8


def _chosen(rng: np.random.Generator) -> NDArray[np.int64]:
    start_s = random_start(rng)
    first = int(np.searchsorted(_TIMES_S, start_s))
    return first + frame_indices(_TIMES_S[first:] - _TIMES_S[first], INPUT, along=0.0)


def _decoded(jpegs: Sequence[Any], chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack([simplejpeg.decode_jpeg(jpegs[index]) for index in chosen])


def _joined(jpegs: Jpegs) -> tuple[bytes, NDArray[np.int64]]:
    return b"".join(jpegs), np.cumsum([len(jpeg) for jpeg in jpegs])


def _parted(content: bytes, ends: NDArray[np.int64]) -> list[memoryview]:
    view, starts = memoryview(content), [0, *ends[:-1].tolist()]
    return [view[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]


def raw(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """Decoded frames, mapped into memory."""
    shape = (len(clips), len(clips[0]), *simplejpeg.decode_jpeg(clips[0][0]).shape)
    written = np.lib.format.open_memmap(folder / "clips.npy", "w+", np.uint8, shape)
    for number, jpegs in enumerate(clips):
        written[number] = [simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs]
    written.flush()

    def opened() -> Read:
        clip_NTHWC, rng = np.load(folder / "clips.npy", mmap_mode="r"), np.random.default_rng(0)
        return lambda: clip_NTHWC[rng.integers(len(clips)), _chosen(rng)]

    return opened


def h264(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """H.264 of the stored size with a key frame every 16 frames, a file a clip, read by PyAV."""
    for number, jpegs in enumerate(clips):
        write_h264(folder / f"{number:04}.mp4", [simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs])

    def opened() -> Read:
        rng = np.random.default_rng(0)
        return lambda: _window(folder / f"{rng.integers(len(clips)):04}.mp4", _chosen(rng))

    return opened


def write_h264(path: Path, frames: Sequence[NDArray[np.uint8]]) -> None:
    """Write frames with the encoder's usual quality and a key frame every 16; odd sides lose a row or column."""
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "16", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def _window(path: Path, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    wanted, shown = set(chosen.tolist()), {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(chosen[0] / FPS / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if (number := round(frame.time * FPS)) in wanted:
                shown[number] = frame.to_ndarray(format="rgb24")
            if number >= chosen[-1]:
                break
    return np.stack([shown[number] for number in chosen.tolist()])


def webdataset(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """Tar files that are read from front to back through a shuffling buffer."""
    import webdataset as wds

    for first in range(0, len(clips), _PER_FILE):
        with tarfile.open(folder / f"{first // _PER_FILE:04}.tar", "w") as tar:
            for number, jpegs in enumerate(clips[first : first + _PER_FILE], first):
                content, ends = _joined(jpegs)
                stored = io.BytesIO()
                np.save(stored, ends)
                for name, part in (("jpegs", content), ("ends", stored.getvalue())):
                    entry = tarfile.TarInfo(f"{number:04}.{name}")
                    entry.size = len(part)
                    tar.addfile(entry, io.BytesIO(part))
    urls = sorted(map(str, folder.glob("*.tar")))

    def opened() -> Read:
        samples = iter(wds.WebDataset(urls, shardshuffle=len(urls), seed=0, empty_check=False).shuffle(16).repeat())
        rng = np.random.default_rng(0)

        def read() -> NDArray[np.uint8]:
            sample = next(samples)
            return _decoded(_parted(sample["jpegs"], np.load(io.BytesIO(sample["ends"]))), _chosen(rng))

        return read

    return opened


def litdata(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """LitData's chunks, through its dataset in its shuffled order."""
    from litdata import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_size=_PER_FILE)
    for number, jpegs in enumerate(clips):
        content, ends = _joined(jpegs)
        writer[number] = {"jpegs": content, "ends": ends}
    writer.done()
    writer.merge()

    def opened() -> Read:
        dataset, rng = StreamingDataset(str(folder), shuffle=True), np.random.default_rng(0)
        samples = itertools.chain.from_iterable(iter(dataset) for _ in itertools.count())

        def read() -> NDArray[np.uint8]:
            sample = next(samples)
            return _decoded(_parted(sample["jpegs"], sample["ends"]), _chosen(rng))

        return read

    return opened


def mosaic(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """MosaicML streaming's shards, at random."""
    from streaming import MDSWriter, StreamingDataset

    largest = _PER_FILE * max(sum(map(len, jpegs)) for jpegs in clips)
    with MDSWriter(out=str(folder), columns={"jpegs": "bytes", "ends": "ndarray:int64"}, size_limit=largest) as writer:
        for jpegs in clips:
            content, ends = _joined(jpegs)
            writer.write({"jpegs": content, "ends": ends})

    def opened() -> Read:
        dataset, rng = StreamingDataset(local=str(folder), shuffle=False, batch_size=1), np.random.default_rng(0)

        def read() -> NDArray[np.uint8]:
            sample = dataset[int(rng.integers(len(clips)))]
            return _decoded(_parted(sample["jpegs"], sample["ends"]), _chosen(rng))

        return read

    return opened


def lance(folder: Path, clips: Sequence[Jpegs]) -> Callable[[], Read]:
    """A Lance dataset, rows taken at random."""
    import lance

    column = pa.array(clips, pa.list_(pa.binary()))
    lance.write_dataset(pa.table({"frames": column}), str(folder / "clips.lance"), max_rows_per_file=_PER_FILE)

    def opened() -> Read:
        dataset, rng = lance.dataset(str(folder / "clips.lance")), np.random.default_rng(0)

        def read() -> NDArray[np.uint8]:
            frames = dataset.take([int(rng.integers(len(clips)))]).column("frames").combine_chunks()[0].values
            jpegs = [memoryview(frame.as_buffer()).cast("B") for frame in frames]
            return _decoded(jpegs, _chosen(rng))

        return read

    return opened


FORMATS = {
    "raw uint8, memory map": raw,
    "H.264 170x128, PyAV": h264,
    "WebDataset of JPEG": webdataset,
    "LitData of JPEG": litdata,
    "MosaicML of JPEG": mosaic,
    "Lance of JPEG": lance,
}
