"""A window of a video, by seeking in the file as each decoder would have it: what reading without shards costs.

Each function opens the file, seeks to a random window, and gives 16 frames of 171x128, on one thread.
"""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.clips.sampling import ClipInput, frame_indices

WIDTH, HEIGHT, FPS, DURATION_S = 171, 128, 30, 10.0
INPUT = ClipInput(num_frames=16, span_s=2.0, size=112, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

Window = Callable[[Path, np.random.Generator], NDArray[np.uint8]]


def random_start(rng: np.random.Generator) -> float:
    """Where the window begins, in seconds."""
    return float(rng.uniform(0.0, DURATION_S - (INPUT.span_s or DURATION_S)))


def with_pyav(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Decode from the key frame before the window, and shrink what is chosen."""
    start_s = random_start(rng)
    frames, times_s = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        container.seek(int(start_s / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time >= start_s:
                frames.append(frame)
                times_s.append(frame.time - start_s)
            if frame.time >= start_s + (INPUT.span_s or DURATION_S):
                break
    chosen = frame_indices(np.array(times_s), INPUT)
    return np.stack([frames[index].reformat(WIDTH, HEIGHT, "rgb24", threads=1).to_ndarray() for index in chosen])


def with_opencv() -> Window:
    """By OpenCV, which names frames by number."""
    import cv2

    cv2.setNumThreads(1)

    def window(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
        numbers = _numbers(rng)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(numbers[0]))
        shown = []
        for number in range(int(numbers[0]), int(numbers[-1]) + 1):
            capture.grab()
            if number in numbers:
                _, picture = capture.retrieve()
                shown.append(cv2.cvtColor(cv2.resize(picture, (WIDTH, HEIGHT)), cv2.COLOR_BGR2RGB))
        capture.release()
        return np.stack(shown)

    return window


def with_decord() -> Window:
    """By decord2, which shrinks while it decodes."""
    from decord import VideoReader, cpu

    def window(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
        reader = VideoReader(str(path), ctx=cpu(0), width=WIDTH, height=HEIGHT, num_threads=1)
        frames: NDArray[np.uint8] = reader.get_batch(_numbers(rng)).asnumpy()
        return frames

    return window


def with_torchcodec() -> Window:
    """By torchcodec, which seeks without a scan of the file, and torch's resize."""
    from torch.nn.functional import interpolate
    from torchcodec.decoders import VideoDecoder

    def window(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
        decoder = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode="approximate")
        clip_TCHW = decoder.get_frames_at(_numbers(rng).tolist()).data
        shrunk_TCHW = interpolate(clip_TCHW, (HEIGHT, WIDTH), mode="bilinear", antialias=True)
        frames: NDArray[np.uint8] = shrunk_TCHW.permute(0, 2, 3, 1).numpy()
        return frames

    return window


def _numbers(rng: np.random.Generator) -> NDArray[np.int64]:
    return np.round((random_start(rng) + np.linspace(0.0, INPUT.span_s or DURATION_S, INPUT.num_frames)) * FPS).astype(
        np.int64
    )
