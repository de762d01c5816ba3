"""The objects of a bucket on their way to the shelf: what is known already, and what has to be fetched."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.params.data import IngestParams
from tasks.sources.brought import Brought
from tasks.sources.bucket import Bucket
from tasks.sources.keys import Contents
from tasks.sources.ledger import Entry, Ledger
from tasks.sources.stream import Arrival, Stream
from tasks.video.clips import Refused
from tasks.video.identity import Fingerprint
from tasks.video.shelf import Shelf
from tasks.video.windows import Length

logger = logging.getLogger(__name__)


@contextmanager
def spool_in(data: Path) -> Iterator[Path]:
    """An empty folder in the dataset's, gone afterwards; what a killed ingest left there is removed first."""
    folder = data / ".spool"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Objects:
    """The objects of a bucket, as ingest asks for them (:class:`tasks.sources.supply.Supply`).

    Args:
        contents: Clips and their objects.
        bucket: Where the objects are.
        ledger: Says what was fetched before, and is told what is fetched now.
        ingest: Section ``ingest``.
    """

    def __init__(self, contents: Contents, bucket: Bucket, ledger: Ledger, ingest: IngestParams) -> None:
        self.claims = contents.claims
        self._contents, self._bucket, self._ledger, self._ingest = contents, bucket, ledger, ingest
        uris = {claim.path: claim.uri for claim in contents.claims}
        found = {path: ledger.get(uris[path], entry.etag, entry.size) for path, entry in contents.objects.items()}
        self._known = {path: entry for path, entry in found.items() if entry}
        self._lengths = {path: entry.length for path, entry in self._known.items()}
        has_lengths = not ingest.windows.length_s or None not in self._lengths.values()
        self.is_read = has_lengths and len(self._known) == len(contents.objects)

    def foreseen(self) -> dict[Path, Fingerprint | Refused]:
        """Fingerprints from the ledger, and for new objects stand-ins: enough to see whether labels will do."""
        found: dict[Path, Fingerprint | Refused] = dict(self._contents.refused)
        for path, entry in self._contents.objects.items():
            known = self._known.get(path)
            found[path] = Fingerprint(known.sha256 if known else f"unread:{entry.key}", entry.size, 0)
        return found

    def lengths(self, paths: Sequence[Path], num_workers: int | None) -> list[Length]:  # noqa: ARG002
        """From the ledger, or found while the object was here."""
        return [self._lengths.get(path) for path in paths]

    def bring(self, shelf: Shelf, refused_before: Mapping[str, Refused], *, num_workers: int | None = None) -> Brought:
        """Put every clip on the shelf that is not there.

        Args:
            shelf: Flushed at the end, also where S3 fails for good.
            refused_before: Verdicts, by clip_id, that need no second look.
            num_workers: Decoding processes; default: one a CPU.

        Raises:
            UserError: S3 does not answer, or says no to everything.
        """
        fingerprints: dict[Path, Fingerprint | Refused] = dict(self._contents.refused)
        refusals: dict[str, Refused] = {}
        missing: list[Arrival] = []
        for path, claims in _by_path(self.claims).items():
            if path not in self._contents.objects:
                continue
            arrival, known = Arrival(path, self._contents.objects[path], claims), self._known.get(path)
            if known is None or not self._is_settled(known, arrival, shelf, refused_before):
                missing.append(arrival)
            else:
                fingerprints[path] = arrival.identify(known.sha256, known.size)
                refusals |= known.verdicts
        if missing:
            num_objects = len(self._contents.objects)
            logger.info("%d of %d objects are known from before", num_objects - len(missing), num_objects)
            stream = Stream(self._bucket, self._ledger, shelf, refused_before, self._ingest, num_workers)
            try:
                stream.run(missing)
            except UserError:
                shelf.flush()
                raise
            shelf.flush()
            fingerprints |= stream.fingerprints
            self._lengths |= stream.lengths
            refusals |= stream.refusals
        return Brought(fingerprints, refusals)

    def _is_settled(self, known: Entry, arrival: Arrival, shelf: Shelf, refused_before: Mapping[str, Refused]) -> bool:
        arrival.identify(known.sha256, known.size)
        asked: list[Path] = []

        def length(paths: Sequence[Path]) -> list[Length]:
            asked.extend(paths)
            return self.lengths(paths, None)

        arrival.cut(self._ingest, length)
        if asked and known.length is None:
            return False
        return all(
            shelf.get(candidate.clip_id) or candidate.clip_id in known.refused or candidate.clip_id in refused_before
            for candidate in arrival.candidates
        )


def _by_path(claims: Sequence[Claim]) -> dict[Path, list[Claim]]:
    found: dict[Path, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.path, []).append(claim)
    return found
