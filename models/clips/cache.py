"""Shards from afar, in a folder of bounded size that several processes share.

A shard is fetched once, whole, and takes its name when its bytes are what the name says. The longest unused one goes
when room is needed, be it the folder's or the disk's, never one that somebody holds: holders have a shared lock on the
file, which the kernel takes back from a process that dies. What is being fetched has its full size from the start, so
that it counts.
"""

import fcntl
import io
import logging
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from models.clips.shards import SUFFIX, Held, read_sizes, verify_shard
from models.errors import UserError
from models.files import replacing

logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
_POLL_S = 0.05
_LARGEST_SHARD_BYTES = 256 << 20
_READ_AHEAD_BYTES = 64 << 10


class Remote(Protocol):
    """Where shards come from. A failure that may pass raises :class:`OSError`; then it is asked for again."""

    def size(self, shard: str) -> int:
        """Bytes of a shard."""

    def read(self, shard: str, start: int, stop: int) -> bytes:
        """Bytes of a shard from ``start`` to before ``stop``."""

    def download(self, shard: str, file: BinaryIO) -> None:
        """Write all of a shard to ``file``."""


class ShardCache:
    """Shards of a remote, brought here when they are asked for.

    Args:
        folder: Where they are kept; made if it is missing. Other processes may use it too, for other datasets as well.
        max_bytes: What it may hold.
        remote: Where they come from.
        patience_s: How long room is waited for while all that is here is held.
    """

    def __init__(self, folder: Path, max_bytes: int, remote: Remote, *, patience_s: float = 120.0) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._remote = remote
        self._patience_s = patience_s
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def max_open(self) -> int:
        """So many that a quarter of the folder is held by one process at most."""
        return max(self._max_bytes // (4 * _LARGEST_SHARD_BYTES), 1)

    def hold(self, shard: str) -> Held:
        """Fetch a shard if it is not here, and keep it.

        Raises:
            UserError: It cannot be fetched, is damaged where it comes from, or there is no room for it.
        """
        path = self._folder / shard
        while (lease := _lease(path)) is None:
            self._fetch(shard)
        os.utime(path)
        return Held(path, lease)

    def sizes(self, shard: str) -> NDArray[np.int32]:
        """Width and height of each clip's frames, shape (rows, 2); of a shard that is not here a part is read."""
        known = self._folder / f"{shard}.npy"
        with suppress(OSError, ValueError, EOFError):
            sizes: NDArray[np.int32] = np.load(known)
            return sizes
        sizes = self._asked(shard, lambda: read_sizes(cast(BinaryIO, _Afar(self._remote, shard))))
        with suppress(OSError), replacing(known) as temporary, temporary.open("wb") as file:
            np.save(file, sizes)  # where there is no room, they are read again
        return sizes

    def num_bytes(self, shard: str) -> int:
        """Size of a shard's file, here or where it comes from."""
        with suppress(OSError):
            return (self._folder / shard).stat().st_size
        return self._asked(shard, lambda: self._remote.size(shard))

    def _fetch(self, shard: str) -> None:
        part = self._folder / f".{shard}"
        with part.open("a+b") as file:
            # Not by a lock that waits: once the shard has its name, whoever holds it keeps a lock on the same file.
            while (is_there := _is_at(file.fileno(), part)) and not _locked(file):
                time.sleep(_POLL_S)
            if not is_there or not _is_at(file.fileno(), part):
                return  # another thread or process had it, and is done
            if (self._folder / shard).exists():  # it was done before this file was made
                part.unlink()
                return
            try:
                self._asked(shard, lambda: self._download(shard, file))
            except BaseException:
                part.unlink()
                raise
            part.rename(self._folder / shard)

    def _download(self, shard: str, file: BinaryIO) -> None:
        part = self._folder / f".{shard}"
        file.truncate(0)
        self._make_room(file, self._remote.size(shard))
        with part.open("r+b") as writer:  # not appending
            self._remote.download(shard, writer)
        if not verify_shard(part, shard):
            raise OSError("its bytes are not what its name says")

    def _asked(self, shard: str, ask: Callable[[], _Answer]) -> _Answer:
        for attempt in range(_ATTEMPTS):
            try:
                return ask()
            except OSError as error:
                if attempt + 1 == _ATTEMPTS:
                    raise UserError(
                        f"{shard}: this shard cannot be fetched ({error}); `dvc push` it again if the remote has not "
                        "got it whole, or check VIDEOLOOP_SHARDS and the connection"
                    ) from None
                logger.warning("%s: fetched again, since %s", shard, error)
                time.sleep(_FIRST_PAUSE_S * 2**attempt)
        raise AssertionError

    def _make_room(self, file: BinaryIO, size: int) -> None:
        deadline_s = time.monotonic() + self._patience_s
        while True:
            with _alone(self._folder / ".room"):
                if self._free(size):
                    os.posix_fallocate(file.fileno(), 0, size)
                    return
            if time.monotonic() > deadline_s or size > self._max_bytes:
                raise UserError(
                    f"VIDEOLOOP_SHARD_CACHE_GB: {self._max_bytes / 1e9:g} GB, or what the disk has, do not hold a "
                    f"shard of {size / 1e9:.3g} GB beside those in use; allow more, free some of the disk, or let "
                    "fewer processes share it"
                )
            time.sleep(_POLL_S)

    def _free(self, size: int) -> bool:
        """Whether there is room now, by what the folder may hold and by what its disk has."""
        files = [(found.stat(), found) for found in self._folder.glob(f"*{SUFFIX}")]
        used = sum(found.st_size for found, _ in files)
        room = min(self._max_bytes - used, shutil.disk_usage(self._folder).free)
        for found, path in sorted(files, key=lambda entry: entry[0].st_mtime_ns):
            if room >= size:
                break
            if found.st_size and _removed(path):
                room += found.st_size
        return room >= size


class _Afar(io.RawIOBase):
    """A shard of a remote as a file, of which blocks are read."""

    def __init__(self, remote: Remote, shard: str) -> None:
        self._remote = remote
        self._shard = shard
        self._size = remote.size(shard)
        self._at = 0
        self._first, self._block = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._at + size, self._size)
        if not self._first <= self._at <= stop <= self._first + len(self._block):
            self._first = min(self._at, max(self._size - _READ_AHEAD_BYTES, 0))
            end = max(stop, min(self._first + _READ_AHEAD_BYTES, self._size))
            self._block = self._remote.read(self._shard, self._first, end)
        content = self._block[self._at - self._first : stop - self._first]
        self._at = stop
        return content


class _Lease:
    """A file that nobody removes while this object is there."""

    def __init__(self, descriptor: int) -> None:
        weakref.finalize(self, os.close, descriptor)


def _lease(path: Path) -> _Lease | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if _is_at(descriptor, path):
        return _Lease(descriptor)
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _locked(file: BinaryIO) -> bool:
    """Lock a file if nobody has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _removed(path: Path) -> bool:
    """Remove a file that nobody holds; whether it is gone."""
    try:
        with path.open("rb") as file:
            if not _locked(file):
                return False
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
