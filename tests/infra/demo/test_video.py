import io

import av
import numpy as np

from infra.demo.video import encode


def moving_bar():
    frames_THW3 = np.full((6, 32, 48, 3), 60, np.uint8)
    for moment, frame_HW3 in enumerate(frames_THW3):
        frame_HW3[:, 6 * moment : 6 * moment + 12] = (220, 120, 40)
    return frames_THW3


def test_the_file_shows_what_went_in():
    with av.open(io.BytesIO(encode(moving_bar(), fps=12))) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
    assert stream.codec_context.name == "h264"
    assert [float(frame.time) for frame in frames] == [index / 12 for index in range(6)]
    shown = np.stack([frame.to_ndarray(format="rgb24") for frame in frames]).astype(int)
    assert np.abs(shown - moving_bar()).mean() < 6


def test_the_same_frames_give_the_same_bytes_whatever_lies_in_memory():
    rng = np.random.default_rng(0)
    wide_HW3 = rng.integers(0, 256, (8, 16, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    frames_THW3 = np.stack([wide_HW3[:, 2 * moment :][:, :64] for moment in range(24)])
    encoded = set()
    for _ in range(12):
        litter = [rng.bytes(int(size)) for size in rng.integers(1_000, 200_000, 20)]
        encoded.add(encode(frames_THW3, fps=12))
        del litter
    assert len(encoded) == 1
