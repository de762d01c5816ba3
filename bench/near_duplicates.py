"""Copies found, and clips taken for copies, beside hashes of whole frames: ``python -m bench.near_duplicates``.

The originals are the demonstration's world: cameras with many clips each, none a copy of another, that turn after
people. Clips are made worse in several ways, and everything goes through ingest. Beside what ``videoloop`` finds stands
what a team would put together otherwise: pHash of ImageHash on every frame, the clips shifted against each other, the
mean distance of what lies on each other. Its limit is its usual one, and the one at which it takes no two of the
original clips for copies. It needs ``pip install imagehash``.
"""

import argparse
import logging
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import av
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.machine import describe
from infra.demo.dataset import World, write_world
from infra.demo.takes import FPS
from models.clips.manifest import read_manifest
from models.clips.shards import ClipStore
from tasks.ingest import ingest
from tasks.params.data import NearDuplicateParams
from tasks.params.whole import Params
from tasks.params_file import load_params
from tasks.twins.kept import Prints, prints_of
from tasks.twins.pairs import near_copies

_USUAL_PHASH = 10.0
_DISTANCE = NearDuplicateParams().distance

Frames = NDArray[np.uint8]


def main() -> None:
    """Make originals and copies, look for pairs in both ways, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cameras", type=int, default=24, metavar="N", help="how many (24)")
    arguments.add_argument("--copied", type=int, default=96, metavar="N", help="clips that are copied (96)")
    arguments.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000], metavar="N", help="of the search")
    arguments.add_argument("--folder", type=Path, help="where video is kept; default: a temporary one")
    options = arguments.parse_args()
    logging.disable(logging.WARNING)
    print(describe("numpy", "simplejpeg", "av"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        prints = _quality(folder, options.cameras, options.copied)
    print("\n| clips | s | MB | copies found | other pairs |\n|---|---|---|---|---|")
    for num_clips in options.sizes:
        _search(prints, num_clips)


def _quality(folder: Path, cameras: int, num_copied: int) -> Prints:
    params = load_params()
    write_world(World(), folder / "world", cameras=cameras, clips_per_action=2)
    originals = _taken(folder / "world", folder / "originals", params)
    copied = originals.sort_values("clip_id").sample(num_copied, random_state=0)
    for name, change in _CHANGES.items():
        for number, uri in zip(copied.index, copied["uri"], strict=True):
            if not (path := folder / "copies" / name / f"{number}.mp4").exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                change(_read(folder / "world" / uri), path)
    copies = _taken(folder / "copies", folder / "copied", params)

    began_s = time.process_time()
    prints = prints_of(originals, folder / "originals" / "shards", Path(tempfile.mkdtemp(dir=folder)))
    print(f"\nprints: {1e3 * (time.process_time() - began_s) / len(originals):.2f} ms of processor time a clip")
    kept = Path(tempfile.mkdtemp(dir=folder))
    of_copies = prints_of(copies, folder / "copied" / "shards", kept)
    both = Prints(
        np.concatenate([prints.motion_W, of_copies.motion_W]),
        np.concatenate([prints.still_W, of_copies.still_W]),
        np.concatenate([prints.moves_W, of_copies.moves_W]),
        np.concatenate([prints.starts_C, of_copies.starts_C[1:] + prints.starts_C[-1]]),
    )
    began_s = time.process_time()
    pairs = near_copies(both, _DISTANCE)
    print(f"search among {len(both.starts_C) - 1} clips: {time.process_time() - began_s:.2f} s of processor time")
    ours = set(zip(pairs["first"], pairs["second"], strict=True))
    first = next(limit for limit in np.arange(0.0, 32.0, 0.25) if len(near_copies(prints, limit)))
    print(f"two of them that are no copies would be taken for copies at {first:g} bits; the limit is {_DISTANCE:g}\n")

    original_of = {len(originals) + at: int(Path(uri).stem) for at, uri in enumerate(copies["uri"])}
    change_of = {len(originals) + at: Path(uri).parent.name for at, uri in enumerate(copies["uri"])}
    hashes = _hashes(originals, folder / "originals" / "shards") + _hashes(copies, folder / "copied" / "shards")
    far = {pair: _phash_distance(hashes[pair[0]], hashes[pair[1]]) for pair in combinations(range(len(originals)), 2)}
    true = {(original, copy): _phash_distance(hashes[original], hashes[copy]) for copy, original in original_of.items()}
    strict = np.nextafter(min(far.values()), 0.0)
    print(f"| | videoloop, {_DISTANCE:g} bits | pHash, {_USUAL_PHASH:g} bits | pHash, {strict:.2f} bits |")
    print("|---|---|---|---|")
    false = sum(second < len(originals) for _, second in ours)
    usual = sum(distance <= _USUAL_PHASH for distance in far.values())
    print(f"| pairs of {len(originals)} clips that are no copies | {false} | {usual} | 0 |")
    for name in _CHANGES:
        of_change = [pair for pair in true if change_of[pair[1]] == name]
        counts = [
            sum(pair in ours for pair in of_change),
            *(sum(true[pair] <= limit for pair in of_change) for limit in (_USUAL_PHASH, strict)),
        ]
        print(f"| {name} | " + " | ".join(f"{count} of {len(of_change)}" for count in counts) + " |")
    return prints


def _taken(source: Path, data: Path, params: Params) -> pd.DataFrame:
    is_world = (source / "clips.csv").exists()
    table = source / "clips.csv" if is_world else source
    ingest(table, data, params.ingest, params.split if is_world else None, seed=0, has_labels=is_world, num_workers=1)
    return read_manifest(data / "manifest.parquet")


def _read(path: Path) -> Frames:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _write(clip_THWC: Frames, path: Path, *, crf: int = 28, fps: int = FPS) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf)})
        stream.height, stream.width = clip_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame_HWC in clip_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")))
        container.mux(stream.encode())


def _half(clip_THWC: Frames) -> Frames:
    size = (clip_THWC.shape[2] // 2, clip_THWC.shape[1] // 2)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)) for frame in clip_THWC])


def _brighter(clip_THWC: Frames) -> Frames:
    return np.clip(1.25 * clip_THWC + 15, 0, 255).astype(np.uint8)


_CHANGES: dict[str, Callable[[Frames, Path], None]] = {
    "encoded again, crf 35": lambda clip, path: _write(clip, path, crf=35),
    "half the size": lambda clip, path: _write(_half(clip), path),
    "brighter": lambda clip, path: _write(_brighter(clip), path),
    "without the first second": lambda clip, path: _write(clip[FPS:], path),
    "without the last second": lambda clip, path: _write(clip[:-FPS], path),
    "without the first 0.42 s": lambda clip, path: _write(clip[5:], path),
    "half the frame rate": lambda clip, path: _write(clip[::2], path, fps=FPS // 2),
    "crf 35, half the size, brighter, without the first 0.5 s": lambda clip, path: _write(
        _half(_brighter(clip[6:])), path, crf=35
    ),
}


def _hashes(clips: pd.DataFrame, shards: Path) -> list[NDArray[np.uint64]]:
    """For each clip the pHash of every frame, as words."""
    import imagehash

    def words(clip_THWC: Frames) -> Iterator[np.uint64]:
        for frame_HWC in clip_THWC:
            yield np.packbits(imagehash.phash(Image.fromarray(frame_HWC)).hash.ravel()).view(np.uint64)[0]

    store = ClipStore(shards)
    return [
        np.fromiter(words(store.decode(shard, row, range(len(store.times(shard, row))))), np.uint64)
        for shard, row in zip(clips["shard"], clips["row"], strict=True)
    ]


def _phash_distance(first_T: NDArray[np.uint64], second_T: NDArray[np.uint64]) -> float:
    """Mean distance of frames that lie on each other, where it is least; at least half of the shorter clip does."""
    bits_TT = np.bitwise_count(first_T[:, None] ^ second_T[None])
    least = min(len(first_T), len(second_T)) // 2
    shifts: Sequence[int] = range(least - len(first_T), len(second_T) - least + 1)
    return min(float(np.diagonal(bits_TT, shift).mean()) for shift in shifts)


def _search(prints: Prints, num_clips: int) -> None:
    """Among clips like those of ``prints``, of which one in a hundred is a copy of the one before it."""
    rng = np.random.default_rng(0)
    length = int(prints.num_words.max())
    whole = np.flatnonzero(prints.num_words == length)
    drawn_C = rng.choice(whole, num_clips)
    at_W = (prints.starts_C[drawn_C][:, None] + np.arange(length)).ravel()
    # Each bit turned with a chance of a quarter: no two clips are alike, and words are as unevenly spread as real ones.
    motion_CW = (prints.motion_W[at_W] ^ _random_bits(rng, len(at_W), rare=2)).reshape(num_clips, length)
    still_CW = (prints.still_W[at_W] ^ _random_bits(rng, len(at_W), rare=2)).reshape(num_clips, length)
    copies = np.arange(1, num_clips, 100)
    motion_CW[copies] = motion_CW[copies - 1] ^ _random_bits(rng, len(copies) * length, rare=4).reshape(-1, length)
    still_CW[copies] = still_CW[copies - 1]
    starts_C = np.arange(num_clips + 1, dtype=np.int64) * length
    many = Prints(motion_CW.ravel(), still_CW.ravel(), np.ones(len(at_W), np.bool_), starts_C)
    tracemalloc.start()
    began_s = time.process_time()
    pairs = near_copies(many, _DISTANCE)
    took_s = time.process_time() - began_s
    peak_MB = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    right = ((pairs["second"] - pairs["first"] == 1) & pairs["second"].isin(copies)).sum()
    print(
        f"| {num_clips} | {took_s:.1f} | {peak_MB:.0f} | {right} of {len(copies)} | {len(pairs) - right} |", flush=True
    )


def _random_bits(rng: np.random.Generator, num_words: int, *, rare: int) -> NDArray[np.uint64]:
    """Words in which each bit is set with a chance of one half to the power of ``rare``."""
    words = rng.integers(0, 2**64, (rare, num_words), dtype=np.uint64)
    bits: NDArray[np.uint64] = np.bitwise_and.reduce(words)
    return bits


if __name__ == "__main__":
    main()
