import errno
import fcntl
import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import numpy as np
import pytest

from models.clips import cache
from models.clips.cache import ShardCache
from models.clips.shards import ClipStore, StoredClip, verify_shard, write_shard
from models.errors import UserError

SIZE = 20_000


class Far:
    """A folder as a remote, which counts, and whose answers a test can spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads: list[str] = []
        self.num_bytes = 0
        self.faults: list[str] = []

    def size(self, shard: str) -> int:
        return (self.folder / shard).stat().st_size

    def read(self, shard: str, start: int, stop: int) -> bytes:
        self.num_bytes += stop - start
        return (self.folder / shard).read_bytes()[start:stop]

    def download(self, shard: str, file: BinaryIO) -> None:
        self.downloads.append(shard)
        content = (self.folder / shard).read_bytes()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "flip":
            content = bytes([content[0] ^ 1]) + content[1:]
        file.write(content[: len(content) // 2] if fault in ("cut", "reset") else content)
        if fault == "reset":
            raise ConnectionResetError("reset")


def shard_of(number: int) -> StoredClip:
    return StoredClip(str(number), 8, 6 + number, [0.0], [bytes([number]) * SIZE])


@pytest.fixture
def far(tmp_path: Path) -> Far:
    (tmp_path / "far").mkdir()
    return Far(tmp_path / "far")


@pytest.fixture
def names(far: Far) -> list[str]:
    return [write_shard(far.folder, [shard_of(number)])[0][0] for number in range(6)]


@pytest.fixture
def near(tmp_path: Path) -> Path:
    return tmp_path / "near"


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_FIRST_PAUSE_S", 0.0)


def kept(near: Path) -> set[str]:
    return {path.name for path in near.glob("*.arrow")}


def test_a_shard_is_fetched_once(far: Far, names: list[str], near: Path) -> None:
    for _ in range(2):
        store = ClipStore(ShardCache(near, 10 * SIZE, far))
        assert bytes(store.frames(names[0], 0)[0]) == bytes([0]) * SIZE
    assert far.downloads == names[:1]


def test_the_longest_unused_goes_when_room_is_needed(far: Far, names: list[str], near: Path) -> None:
    shards = ShardCache(near, 3 * SIZE + SIZE // 2, far)
    for name in (names[0], names[1], names[2], names[0], names[3]):
        shards.hold(name)
        time.sleep(0.01)
    assert kept(near) == {names[0], names[2], names[3]}
    assert sum(path.stat().st_size for path in near.glob("*.arrow")) <= 3.5 * SIZE


def test_a_disk_that_is_smaller_than_the_cache_may_be_is_room_as_well(
    far: Far, names: list[str], near: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_usage(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=3 * SIZE + SIZE // 2 - sum(path.stat().st_size for path in folder.glob("*.arrow")))

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    shards = ShardCache(near, 10 * SIZE, far, patience_s=0.2)
    for name in names[:4]:
        shards.hold(name)
        time.sleep(0.01)
    assert kept(near) == {*names[1:4]}
    held = [shards.hold(name) for name in names[1:4]]
    with pytest.raises(UserError, match="or what the disk has, do not hold a shard"):
        shards.hold(names[0])
    assert all(verify_shard(each.path) for each in held)


def test_what_is_held_stays_and_too_little_room_is_said(far: Far, names: list[str], near: Path) -> None:
    shards = ShardCache(near, 2 * SIZE + SIZE // 2, far, patience_s=0.2)
    held = [shards.hold(names[0]), shards.hold(names[1])]
    with pytest.raises(UserError, match=r"VIDEOLOOP_SHARD_CACHE_GB: .* beside those in use; allow more"):
        shards.hold(names[2])
    assert all(verify_shard(each.path) for each in held)
    held.pop()
    assert shards.hold(names[2]).path.exists()


@pytest.mark.parametrize("fault", ["flip", "cut", "reset"])
def test_a_torn_answer_is_asked_for_again(far: Far, names: list[str], near: Path, fault: str) -> None:
    far.faults = [fault, fault]
    assert verify_shard(ShardCache(near, 10 * SIZE, far).hold(names[0]).path)
    assert len(far.downloads) == 3


def test_what_is_damaged_there_is_never_taken(far: Far, names: list[str], near: Path) -> None:
    far.faults = ["flip"] * 10
    with pytest.raises(UserError, match=r"cannot be fetched \(its bytes are not what its name says\); `dvc push`"):
        ShardCache(near, 10 * SIZE, far).hold(names[0])
    assert not kept(near)


def test_sizes_cost_a_part_of_the_shard_and_are_remembered(far: Far, near: Path) -> None:
    clips = [StoredClip(str(n), 8, n + 1, [0.0] * 50, [bytes(9_000)] * 50) for n in range(8)]
    name = write_shard(far.folder, clips)[0][0]
    for _ in range(2):
        assert ShardCache(near, 10 * SIZE, far).sizes(name).tolist() == [[8, n + 1] for n in range(8)]
    assert far.num_bytes < far.size(name) / 10
    assert not far.downloads


@pytest.mark.parametrize("fault", ["no room for them", "nothing in the file"])
def test_sizes_that_are_not_remembered_are_read_again(
    far: Far, names: list[str], near: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if fault == "no room for them":
        monkeypatch.setattr(np, "save", full)
    shards = ShardCache(near, 10 * SIZE, far)
    if fault == "nothing in the file":
        (near / f"{names[0]}.npy").touch()
    assert shards.sizes(names[0]).tolist() == [[8, 6]]


def test_threads_that_want_the_same_shard_fetch_it_once(far: Far, names: list[str], near: Path) -> None:
    shards = ShardCache(near, 10 * SIZE, far)
    threads = [threading.Thread(target=shards.hold, args=(names[0],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert far.downloads == names[:1]


def test_what_a_killed_process_left_is_in_nobodys_way(far: Far, names: list[str], near: Path) -> None:
    reading = multiprocessing.get_context("fork").Process(target=_hang_while_fetching, args=(far, names[0], near))
    reading.start()
    part = near / f".{names[0]}"
    while not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    os.kill(reading.pid or 0, signal.SIGKILL)
    reading.join()
    shards = ShardCache(near, 2 * SIZE, far, patience_s=0.0)
    assert verify_shard(shards.hold(names[1]).path), "the leftover counts as room"
    assert verify_shard(shards.hold(names[0]).path)


def _hang_while_fetching(far: Far, name: str, near: Path) -> None:
    far.download = lambda shard, file: time.sleep(60)  # type: ignore[method-assign]
    ShardCache(near, 2 * SIZE, far).hold(name)


def test_processes_share_it_within_its_bounds(far: Far, names: list[str], near: Path) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    workers = [fork.Process(target=_read_all, args=(far, names, near, seed, results)) for seed in range(3)]
    for worker in workers:
        worker.start()
    largest = 0
    while any(worker.is_alive() for worker in workers):
        largest = max(largest, _used(near))
        time.sleep(0.002)
    digests = {results.get(timeout=10) for _ in workers}
    assert len(digests) == 1
    assert largest <= 4.5 * SIZE


def _used(near: Path) -> int:
    total = 0
    for path in near.glob("*.arrow"):
        with suppress(FileNotFoundError):  # another process has just made room
            total += path.stat().st_size
    return total


def _read_all(far: Far, names: list[str], near: Path, seed: int, results: "multiprocessing.Queue[str]") -> None:
    store = ClipStore(ShardCache(near, 4 * SIZE + SIZE // 2, far))
    content = {}
    for turn in range(4):
        for name in names[seed + turn :] + names[: seed + turn]:
            content[name] = bytes(store.frames(name, 0)[0])
    results.put(hashlib.sha256(b"".join(content[name] for name in names)).hexdigest())


def test_who_waits_for_a_shard_does_not_wait_for_those_who_hold_it(far: Far, names: list[str], near: Path) -> None:
    shards = ShardCache(near, 10**6, far)
    part = near / f".{names[0]}"
    with part.open("wb") as fetching:
        fcntl.flock(fetching, fcntl.LOCK_EX)
        waiting = threading.Thread(target=shards.hold, args=(names[0],), daemon=True)
        waiting.start()
        time.sleep(0.3)
        fetching.write((far.folder / names[0]).read_bytes())
        fetching.flush()
        part.rename(near / names[0])
        fcntl.flock(fetching, fcntl.LOCK_SH)  # held from now on, as by a reader
        waiting.join(timeout=5)
        assert not waiting.is_alive()
    assert far.downloads == []
