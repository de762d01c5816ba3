"""The lists of a dataset that lies in a bucket: small files that are brought here to be read.

Each has a folder of its own and keeps its name, by which layouts know it. What is said about one calls it by its
address.
"""

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from models.errors import UserError
from tasks.params.data import BucketParams
from tasks.sources.address import S3Address
from tasks.sources.bucket import Bucket, StoredObject
from tasks.sources.patience import GaveUp
from tasks.video.clips import Refused

logger = logging.getLogger(__name__)

LIST_SUFFIXES = (".csv", ".json", ".txt", ".xml")
_LONGEST_NAME_BYTES = 255
# HMDB51 has 153. Where there are far more, they are notes beside each video, and looking into all would take hours.
_MOST_LISTS = 512


class Lists:
    """Lists of one bucket.

    Args:
        bucket: Where they are.
        params: Section ``ingest.bucket``; what lies here of lists fits into its spool too.
        spool: Where they will lie.
    """

    def __init__(self, bucket: Bucket, params: BucketParams, spool: Path) -> None:
        self._bucket, self._params, self._folder = bucket, params, spool / "lists"
        self._addresses: list[S3Address] = []

    def are_few(self, address: S3Address, candidates: Sequence[StoredObject]) -> bool:
        """Whether so many files can be looked into, to see whether they are lists; what follows is said."""
        num_bytes = sum(found.size for found in candidates)
        if len(candidates) <= _MOST_LISTS and num_bytes <= self._params.spool_mb * 1e6:
            return True
        logger.warning(
            "%s: %d files of %.0f MB might be a dataset's lists, too many to look into; --layout says what it is",
            address,
            len(candidates),
            num_bytes / 1e6,
        )
        return False

    def fetched(self, wanted: Sequence[StoredObject]) -> list[Path]:
        """Where these lists lie now.

        Raises:
            UserError: One cannot be had.
        """
        paths = [self._place(found) for found in wanted]
        with ThreadPoolExecutor(self._params.connections, thread_name_prefix="list") as threads:
            list(threads.map(self._fetch, wanted, paths))
        return paths

    def close(self) -> None:
        """Remove them."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Have mistakes that are found in lists named by the lists' addresses."""
        try:
            yield
        except UserError as error:
            raise UserError(self.said(str(error))) from None

    def said(self, text: str) -> str:
        """``text`` with the addresses of lists in the place of where they lie now."""
        return re.sub(re.escape(f"{self._folder}/") + r"(\d+)/", lambda found: self._said(int(found[1])), text)

    def _said(self, number: int) -> str:
        return str(self._addresses[number])

    def _place(self, found: StoredObject) -> Path:
        path = self._folder / str(len(self._addresses)) / found.key.rpartition("/")[2]
        self._addresses.append(S3Address(self._bucket.name, found.key[: -len(path.name)]))
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _fetch(self, found: StoredObject, path: Path) -> None:
        address = S3Address(self._bucket.name, found.key)
        try:
            self._bucket.fetch(found, path)
        except Refused as refused:
            raise UserError(f"{address}: it {refused}") from None
        except GaveUp as gave_up:
            raise UserError(f"{address}: {gave_up}; run the same command later") from None


def may_be_list(key: str) -> bool:
    """Whether the object of that key has the name of a list."""
    name = key.rpartition("/")[2]
    is_name = name not in (".", "..") and "\0" not in name and len(name.encode()) <= _LONGEST_NAME_BYTES
    return is_name and PurePosixPath(name).suffix.lower() in LIST_SUFFIXES
