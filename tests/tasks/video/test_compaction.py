from pathlib import Path

import pytest

from models.clips.shards import ClipStore, verify_shard
from tasks.video.clips import DecodedClip, Facts, Recipe
from tasks.video.compaction import FAN_IN, due
from tasks.video.shelf import Shelf

RECIPE = Recipe(short_side=8, max_fps=10, jpeg_quality=90, min_duration_s=0.5, max_duration_s=5)
FACTS = Facts(0.0, 1.0, "h264", 8, 8, 10.0, 0, 100.0, 10.0, 1.0, 1.0)


def test_few_small_shards_stay() -> None:
    assert due({f"{number:02}": 0.5 for number in range(FAN_IN - 1)}) == []


def test_many_of_a_size_are_merged() -> None:
    small = {f"{number:02}": 0.1 for number in range(FAN_IN)}
    assert due({**small, "full": 1.0, "over": 1.7, "tiny": 0.001}) == sorted(small)


def test_a_full_shard_is_never_merged() -> None:
    assert due({f"{number:02}": 1.0 for number in range(100)}) == []


def test_the_smallest_come_first() -> None:
    small = {f"a{number:02}": 0.5 for number in range(FAN_IN)}
    tiny = {f"b{number:02}": 0.01 for number in range(FAN_IN)}
    assert due({**small, **tiny}) == sorted(tiny)


class TestShelf:
    def add(self, folder: Path, number: int, live: list[str]) -> Shelf:
        shelf = Shelf(folder, RECIPE, 32, {})
        live.append(f"{number:03}")
        shelf.add(live[-1], DecodedClip(FACTS, 8, 8, [0.0, 0.1], [bytes([number]), b"second"]))
        shelf.flush()
        shelf.compact(live)
        shelf.sweep({stored.shard for clip_id in live if (stored := shelf.get(clip_id))})
        return shelf

    def test_many_small_additions_leave_few_shards_and_every_clip(self, tmp_path: Path) -> None:
        live: list[str] = []
        for number in range(40):
            shelf = self.add(tmp_path, number, live)
        assert len(list(tmp_path.iterdir())) == 40 - 2 * (FAN_IN - 1)
        store = ClipStore(tmp_path)
        for number, clip_id in enumerate(live):
            stored = shelf.get(clip_id)
            assert stored is not None
            assert bytes(store.frames(stored.shard, stored.row)[0]) == bytes([number])
            assert stored.facts["frames"] == 2
        assert all(verify_shard(path) for path in tmp_path.iterdir())

    def test_an_addition_below_the_limit_touches_no_other_file(self, tmp_path: Path) -> None:
        live: list[str] = []
        for number in range(FAN_IN - 1):
            before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
            self.add(tmp_path, number, live)
            assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}.items() > before.items() or (
                not before
            )

    def test_clips_that_nobody_keeps_are_not_taken_over(self, tmp_path: Path) -> None:
        live: list[str] = []
        for number in range(FAN_IN - 1):
            self.add(tmp_path, number, live)
        gone = live.pop(0)
        for number in (50, 51):
            self.add(tmp_path, number, live)
        found = Shelf(tmp_path, RECIPE, 32, {})
        assert found.get(gone) is None
        assert all(found.get(clip_id) for clip_id in live)


@pytest.mark.parametrize("batch", [1, 7, 31])
def test_what_is_small_stays_bounded(batch: int) -> None:
    sizes, written = {}, 0.0
    for number in range(1_000):
        sizes[f"{number:04}"] = batch / 128
        while shards := due(sizes):
            total = sum(sizes.pop(shard) for shard in shards)
            written += total
            sizes |= {f"m{number:04}-{part}": min(total - part, 1.0) for part in range(-int(-total // 1))}
    assert sum(size < 1 for size in sizes.values()) <= 2 * FAN_IN
    assert written <= 2.2 * 1_000 * batch / 128
