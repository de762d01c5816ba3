import errno
import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import simplejpeg

from models.clips import shards
from models.clips.shards import ClipStore, StoredClip, read_index, read_sizes, verify_shard, write_shard
from models.errors import UserError


def clip(clip_id: str, num_frames: int = 3, width: int = 24, height: int = 16) -> StoredClip:
    frames = [
        simplejpeg.encode_jpeg(np.full((height, width, 3), 40 * number % 256, np.uint8), quality=95)
        for number in range(num_frames)
    ]
    return StoredClip(clip_id, width, height, [0.1 * n for n in range(num_frames)], frames, f"facts of {clip_id}")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    places = write_shard(tmp_path, [clip("a"), clip("b", 5, 32, 8)], "a note")
    assert len({shard for shard, _ in places}) == 1
    store = ClipStore(tmp_path)
    assert store.times(*places[1]).tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert (store.size(*places[0]), store.size(*places[1])) == ((24, 16), (32, 8))
    frames = store.decode(*places[1], [0, 2, 4])
    assert frames.shape == (3, 8, 32, 3)
    assert frames.mean((1, 2, 3)) == pytest.approx([0, 80, 160], abs=1)
    assert [bytes(frame) for frame in store.frames(*places[0])] == clip("a").frames
    index = read_index(tmp_path / places[0][0])
    assert (index.note, index.facts) == ("a note", {"a": "facts of a", "b": "facts of b"})


def test_frames_may_repeat(tmp_path: Path) -> None:
    [place] = write_shard(tmp_path, [clip("a")])
    assert ClipStore(tmp_path).decode(*place, [1, 1, 0, 1]).mean((1, 2, 3)) == pytest.approx([40, 40, 0, 40], abs=1)


def test_frames_are_decoded_where_they_are_wanted(tmp_path: Path) -> None:
    [place] = write_shard(tmp_path, [clip("a")])
    out = np.zeros((2, 16, 24, 3), np.uint8)
    assert ClipStore(tmp_path).decode(*place, [1, 2], out=out) is out
    assert out.mean((1, 2, 3)) == pytest.approx([40, 80], abs=1)


def test_the_name_is_the_content(tmp_path: Path) -> None:
    [[name, _]] = write_shard(tmp_path, [clip("a")])
    [[again, _]] = write_shard(tmp_path, [clip("a")])
    [[other, _]] = write_shard(tmp_path, [clip("b")])
    assert name == again != other
    assert verify_shard(tmp_path / name)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    assert not verify_shard(tmp_path / name)


def test_a_missing_shard(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"this shard is missing; run `dvc checkout --force data\.dvc`"):
        ClipStore(tmp_path).times("none.arrow", 0)


@pytest.mark.parametrize("content", [b"", b"text", b"ARROW1\0\0" + bytes(100) + b"ARROW1"])
def test_a_file_that_is_no_shard(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.arrow").write_bytes(content)
    with pytest.raises(UserError, match="this shard is damaged"):
        read_index(tmp_path / "a.arrow")


def test_an_arrow_file_of_somebody_else(tmp_path: Path) -> None:
    table = pa.table({"a": [1]})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UserError, match="not a shard of this version"):
        read_index(tmp_path / "a.arrow")


def test_a_damaged_frame(tmp_path: Path) -> None:
    good = clip("a")
    broken = StoredClip("a", 24, 16, good.times_s, [good.frames[0], good.frames[1][:-20], b"not JPEG"])
    [place] = write_shard(tmp_path, [broken])
    store = ClipStore(tmp_path)
    assert len(store.decode(*place, [0])) == 1
    for frame in (1, 2):
        with pytest.raises(UserError, match="this shard is damaged"):
            store.decode(*place, [frame])


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_shard(tmp_path, [clip("a")])
    assert not list(tmp_path.iterdir())


def test_threads_share_a_store(tmp_path: Path) -> None:
    places = [place for n in range(4) for place in write_shard(tmp_path, [clip(f"{n}-{m}", 2 + m) for m in range(4)])]
    store = ClipStore(tmp_path)
    found: dict[int, int] = {}

    def read(number: int) -> None:
        found[number] = len(store.times(*places[number]))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(places))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(places))] == [2, 3, 4, 5] * 4


class TestDamage:
    def flipped(self, path: Path, share: float) -> None:
        content = bytearray(path.read_bytes())
        content[int(len(content) * share)] ^= 1
        path.chmod(0o644)
        with path.open("r+b") as file:  # a disk does not make a new file
            file.write(content)

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
    def test_a_flipped_bit_is_found_by_whoever_reads(self, tmp_path: Path, share: float) -> None:
        [place] = write_shard(tmp_path, [clip("a", 8, 64, 64)])
        self.flipped(tmp_path / place[0], share)
        with pytest.raises(UserError, match=r"this shard is damaged .*ingest the source again"):
            ClipStore(tmp_path).decode(*place, [0])

    def test_a_process_holds_a_shard_against_its_name_once_however_many_stores_read_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [place] = write_shard(tmp_path, [clip("a", 8, 64, 64)])
        read: list[Path] = []
        monkeypatch.setattr(shards, "verify_shard", lambda path: read.append(path) or verify_shard(path))
        for _ in range(3):  # as many epochs, or splits of a stage
            ClipStore(tmp_path).decode(*place, [0])
        assert read == [tmp_path / place[0]]
        self.flipped(tmp_path / place[0], 0.5)
        os.utime(tmp_path / place[0], ns=(0, 0))  # a clock that ticks slower than tests
        with pytest.raises(UserError, match="this shard is damaged"):
            ClipStore(tmp_path).decode(*place, [0])

    def test_it_is_mended_through_the_links_of_a_cache(self, tmp_path: Path) -> None:
        [place] = write_shard(tmp_path, [clip("a")])
        good = (tmp_path / place[0]).read_bytes()
        (tmp_path / "hard").hardlink_to(tmp_path / place[0])
        self.flipped(tmp_path / "hard", 0.5)
        (tmp_path / "hard").chmod(0o444)
        write_shard(tmp_path, [clip("a")])
        assert (tmp_path / "hard").read_bytes() == good
        assert (tmp_path / "hard").stat().st_mode & 0o777 == 0o444

    def test_a_link_to_nothing_is_replaced(self, tmp_path: Path) -> None:
        [place] = write_shard(tmp_path, [clip("a")])
        (tmp_path / place[0]).unlink()
        (tmp_path / place[0]).symlink_to(tmp_path / "gone")
        write_shard(tmp_path, [clip("a")])
        assert verify_shard(tmp_path / place[0])

    def test_what_is_whole_is_not_written_again(self, tmp_path: Path) -> None:
        [place] = write_shard(tmp_path, [clip("a")])
        before = (tmp_path / place[0]).stat()
        write_shard(tmp_path, [clip("a")])
        after = (tmp_path / place[0]).stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_sizes_are_read_without_the_frames(tmp_path: Path) -> None:
    [place, _] = write_shard(tmp_path, [clip("a"), clip("b", 200, 32, 8)])
    assert ClipStore(tmp_path).sizes(place[0]).tolist() == [[24, 16], [32, 8]]
    with (tmp_path / place[0]).open("rb", buffering=0) as file:
        assert read_sizes(file).tolist() == [[24, 16], [32, 8]]
