import gc
import threading
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simplejpeg
import torch

from models.clips.loader import Batch, ClipLoader, common_size
from models.clips.sampling import ClipInput
from models.clips.shards import Held, ShardFolder, StoredClip, write_shard
from models.errors import UserError
from models.share import Share
from models.spec import AugmentParams

INPUT = ClipInput(num_frames=4, span_s=None, size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
LABELS = ["run", "walk"]


def stored(data: Path, sizes: list[tuple[int, int]]) -> pd.DataFrame:
    """A clip for each size; its brightness tells its number."""
    (data / "shards").mkdir(parents=True)
    times_s = [0.1 * number for number in range(6)]
    clips = []
    for number, (width, height) in enumerate(sizes):
        jpeg = simplejpeg.encode_jpeg(np.full((height, width, 3), 10 * number, np.uint8))
        clips.append(StoredClip(str(number), width, height, times_s, [jpeg] * 6))
    shards = [clips[start : start + 3] for start in range(0, len(clips), 3)]
    places = [place for shard in shards for place in write_shard(data / "shards", shard)]
    names = [LABELS[number % 2] for number in range(len(clips))]
    rows = [(clip.clip_id, label, *place) for clip, label, place in zip(clips, names, places, strict=True)]
    return pd.DataFrame(rows, columns=["clip_id", "label", "shard", "row"])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def clips(data: Path) -> pd.DataFrame:
    return stored(data, [(24, 20)] * 10)


def loader(data: Path, clips: pd.DataFrame, batch_size: int = 4, **more: object) -> ClipLoader:
    return ClipLoader(data, clips, LABELS, INPUT, batch_size, **more)  # type: ignore[arg-type]


def numbers(batch: Batch) -> list[int]:
    return ((batch.clip_BCTHW.mean((1, 2, 3, 4)) * 0.5 + 0.5) * 25.5).round().int().tolist()


def equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a.clip_BCTHW, b.clip_BCTHW) and torch.equal(a.index_B, b.index_B) for a, b in pairs)


def test_batches_in_order(data: Path, clips: pd.DataFrame) -> None:
    batches = list(loader(data, clips).epoch(0))
    assert [len(batch.label_B) for batch in batches] == [4, 4, 2]
    assert len(loader(data, clips)) == 3
    assert torch.cat([batch.index_B for batch in batches]).tolist() == list(range(10))
    assert [number for batch in batches for number in numbers(batch)] == list(range(10))
    assert torch.cat([batch.label_B for batch in batches]).tolist() == [0, 1] * 5
    assert batches[0].clip_BCTHW.shape == (4, 3, 4, 16, 16)
    assert batches[0].clip_BCTHW.dtype == torch.float32


def test_a_label_that_is_unknown_or_missing(data: Path, clips: pd.DataFrame) -> None:
    clips["label"] = ["walk", "swim", None, *["run"] * 7]
    [batch] = loader(data, clips, 16).epoch(0)
    assert batch.label_B.tolist()[:4] == [1, -1, -1, 0]


def test_each_epoch_has_an_order_of_its_own_and_keeps_it(data: Path, clips: pd.DataFrame) -> None:
    shuffled = loader(data, clips, 16, shuffle=True)
    orders = [next(shuffled.epoch(epoch)).index_B.tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(10))
    [batch] = shuffled.epoch(1)
    assert numbers(batch) == batch.index_B.tolist()


def test_larger_batches_are_the_same_clips_in_the_same_order_however_they_are_divided(
    data: Path, clips: pd.DataFrame
) -> None:
    shuffled = loader(data, clips, 2, shuffle=True)
    small, large = (
        [batch.index_B.tolist() for batch in shuffled.epoch(1, batch_size=batch_size)] for batch_size in (None, 6)
    )
    assert [len(batch) for batch in large] == [6, 4]
    assert [index for batch in large for index in batch] == [index for batch in small for index in batch]
    assert [batch.index_B.tolist() for batch in shuffled.epoch(1, first=1, batch_size=6)] == large[1:]
    halves = [[batch.index_B.tolist() for batch in shuffled.epoch(1, share=Share(index, 2), batch_size=6)]
              for index in range(2)]  # fmt: skip
    assert [one + other for one, other in zip(*halves, strict=True)] == large


def test_an_epoch_needs_nothing_that_came_before(data: Path, clips: pd.DataFrame) -> None:
    options = {"augment": AugmentParams(), "seed": 3, "shuffle": True}
    straight = loader(data, clips, **options)
    _, second = list(straight.epoch(0)), list(straight.epoch(1))
    resumed = loader(data, clips, **options)
    assert equal(list(resumed.epoch(1)), second)


@pytest.mark.parametrize("num_workers", [2, 5])
def test_the_number_of_workers_changes_nothing(data: Path, clips: pd.DataFrame, num_workers: int) -> None:
    options = {"augment": AugmentParams(), "shuffle": True}
    alone = list(loader(data, clips, 3, **options).epoch(2))
    assert equal(alone, list(loader(data, clips, 3, num_workers=num_workers, **options).epoch(2)))


def test_seed_and_epoch_change_what_is_seen(data: Path, clips: pd.DataFrame) -> None:
    def first(seed: int, epoch: int) -> Batch:
        return next(loader(data, clips, augment=AugmentParams(), seed=seed).epoch(epoch))

    assert not torch.equal(first(0, 0).clip_BCTHW, first(0, 1).clip_BCTHW)
    assert not torch.equal(first(0, 0).clip_BCTHW, first(1, 0).clip_BCTHW)


def test_time_jitter_is_seen(data: Path) -> None:
    (data / "shards").mkdir()
    frames = [simplejpeg.encode_jpeg(np.full((16, 16, 3), 4 * n, np.uint8)) for n in range(60)]
    [[shard, row]] = write_shard(data / "shards", [StoredClip("a", 16, 16, [0.1 * n for n in range(60)], frames)])
    clips = pd.DataFrame({"label": ["run"], "shard": [shard], "row": [row]})
    window = ClipInput(4, 1.0, 16, INPUT.mean, INPUT.std)
    still = AugmentParams(crop_scale=1.0, flip=0.0, colour=0.0, time_jitter=0.5)
    jittered = ClipLoader(data, clips, LABELS, window, 1, augment=still)
    assert len({next(jittered.epoch(epoch)).clip_BCTHW.mean().item() for epoch in range(5)}) > 1


def test_clips_of_several_shapes_come_to_one(data: Path) -> None:
    clips = stored(data, [(32, 20), (20, 32), (20, 20), (16, 12)])
    [batch] = loader(data, clips, 4).epoch(0)
    assert numbers(batch) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(32, 20), (32, 20)], (20, 32)),
        ([(32, 20), (40, 20)], (20, 32)),
        ([(32, 20), (20, 32)], (20, 20)),
        ([(16, 10), (32, 20)], (20, 32)),
        ([(20, 32), (20, 40)], (32, 20)),
        ([], (1, 1)),
    ],
)
def test_common_size(sizes: list[tuple[int, int]], expected: tuple[int, int]) -> None:
    assert common_size(sizes) == expected


def test_a_damaged_shard_stops_the_epoch(data: Path, clips: pd.DataFrame) -> None:
    path = data / "shards" / clips["shard"][9]
    content = path.read_bytes()
    start = content.index(b"\xff\xd8\xff")
    path.unlink()
    path.write_bytes(content[:start] + bytes(8) + content[start + 8 :])
    with pytest.raises(UserError, match="this shard is damaged"):
        list(loader(data, clips, 2).epoch(0))


def test_whoever_stops_early_waits_for_nothing(data: Path, clips: pd.DataFrame) -> None:
    before = set(threading.enumerate())
    batches = loader(data, clips, 2, num_workers=3).epoch(0)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_no_clips(data: Path, clips: pd.DataFrame) -> None:
    assert list(loader(data, clips.iloc[:0]).epoch(0)) == []


@pytest.mark.parametrize("shuffled_shards", [0, 1, 2])
def test_ranks_and_workers_see_each_clip_once(data: Path, clips: pd.DataFrame, shuffled_shards: int) -> None:
    seen: list[int] = []
    for rank in range(3):
        options = {"shuffle": True, "num_workers": 2, "shuffled_shards": shuffled_shards}
        batches = loader(data, clips, 4, **options).epoch(1, share=Share(rank, 3))
        for batch in batches:
            assert numbers(batch) == batch.index_B.tolist()
            seen += batch.index_B.tolist()
    assert sorted(seen) == list(range(10))


@pytest.mark.parametrize("shuffled_shards", [0, 2])
def test_an_epoch_goes_on_in_its_middle(data: Path, clips: pd.DataFrame, shuffled_shards: int) -> None:
    options = {"augment": AugmentParams(), "shuffle": True, "shuffled_shards": shuffled_shards}
    whole = list(loader(data, clips, 3, **options).epoch(2))
    assert equal(list(loader(data, clips, 3, **options).epoch(2, first=2)), whole[2:])


class Streamed(ShardFolder):
    """A folder of which few shards may be held at a time, and which knows how many were."""

    max_open = 1  # type: ignore[assignment]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.order: list[str] = []
        self.held: weakref.WeakSet[Lease] = weakref.WeakSet()
        self.most = 0

    def hold(self, shard: str) -> Held:
        self.order.append(shard)
        lease = Lease()
        self.held.add(lease)
        self.most = max(self.most, len(self.held))
        return Held(super().hold(shard).path, lease)


class Lease:
    pass


def test_a_streamed_epoch_holds_few_shards_and_sees_all_clips(data: Path, clips: pd.DataFrame) -> None:
    shards = Streamed(data / "shards")
    streamed = loader(data, clips, 2, shuffle=True, shuffled_shards=1, shards=shards)
    batches = list(streamed.epoch(0))
    assert equal(batches, list(loader(data, clips, 2, shuffle=True, shuffled_shards=1).epoch(0)))
    assert set(shards.order) == set(clips["shard"])
    assert shards.most <= 4, "one that is read, one that was, one that is fetched ahead, and one of a thread's"


def test_whoever_stops_a_streamed_epoch_early_holds_nothing(data: Path, clips: pd.DataFrame) -> None:
    shards, before = Streamed(data / "shards"), set(threading.enumerate())  # those of earlier tests may end meanwhile
    batches = loader(data, clips, 2, shuffle=True, shuffled_shards=1, shards=shards).epoch(0)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    del batches
    gc.collect()
    assert set(threading.enumerate()) <= before
    assert not shards.held
