"""Who is who: a clip is known by what it shows, whatever its file is called."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tasks.layouts.claim import Claim
from tasks.video.clips import Limits, Reason, Refused, Segment
from tasks.video.opening import opened
from tasks.video.quarantine import Rejected

logger = logging.getLogger(__name__)

_HASHING_THREADS = 4
_READ_BYTES = 1 << 18


@dataclass(frozen=True)
class Fingerprint:
    """A file's content, and what tells that it changed since."""

    sha256: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Candidate:
    """A claim whose file was read: it has an identity."""

    claim: Claim
    fingerprint: Fingerprint
    clip_id: str

    def changed(self) -> Refused | None:
        """Why the file is not the one that was hashed any more, if so."""
        try:
            found = self.claim.path.stat()
            if (found.st_size, found.st_mtime_ns) == (self.fingerprint.size, self.fingerprint.modified_ns):
                return None
        except OSError:
            pass
        return Refused("changed while it was read; ingest it again", Reason.FILE, lasting=False)


def clip_id_of(sha256: str, segment: Segment) -> str:
    """The identity of a stretch of a file: 128 bits in hexadecimal, whatever parameters it is stored with."""
    return hashlib.sha256(f"{sha256}:{segment.key}".encode()).hexdigest()[:32]


def fingerprints_of(claims: Sequence[Claim], limits: Limits) -> dict[Path, Fingerprint | Refused]:
    """Hash every file once; where it cannot be read, or is larger than ``limits`` allow, say why."""
    files = {claim.path: claim.may_be_link for claim in claims}
    with ThreadPoolExecutor(_HASHING_THREADS) as executor:
        found = executor.map(lambda path, may_be_link: _fingerprint(path, limits, may_be_link), files, files.values())
        return dict(zip(files, found, strict=True))


def identified(
    claims: Sequence[Claim], fingerprints: Mapping[Path, Fingerprint | Refused]
) -> tuple[list[Candidate], list[Rejected]]:
    """Keep one candidate for each clip, the first in the order of ``claims``.

    Args:
        claims: What the source says.
        fingerprints: Of every claim's file, or why it has none.

    Returns:
        The candidates, and the claims without: files that cannot be read, and content that appears again with another
        label or source.
    """
    candidates: dict[str, Candidate] = {}
    rejected: list[Rejected] = []
    for claim in claims:
        fingerprint = fingerprints[claim.path]
        if isinstance(fingerprint, Refused):
            rejected.append(Rejected(claim, fingerprint))
            continue
        candidate = Candidate(claim, fingerprint, clip_id_of(fingerprint.sha256, claim.segment))
        first = candidates.setdefault(candidate.clip_id, candidate)
        if first is not candidate:
            rejected += _repeated(candidate, first)
    return list(candidates.values()), rejected


def _repeated(candidate: Candidate, first: Candidate) -> list[Rejected]:
    claim = candidate.claim
    if (claim.label, claim.source_id) == (first.claim.label, first.claim.source_id):
        logger.info("%s is %s once more and is left out", claim.uri, first.claim.uri)
        return []
    other = "label" if claim.label != first.claim.label else "source"
    named = (first.claim.label or "none") if other == "label" else first.claim.source_id
    message = f"has the same content as {first.claim.uri}, which has another {other} ({named})"
    refused = Refused(message, Reason.REPEATED)
    return [Rejected(claim, refused, candidate.clip_id, candidate.fingerprint.sha256)]


def _fingerprint(path: Path, limits: Limits, may_be_link: bool) -> Fingerprint | Refused:
    try:
        with os.fdopen(opened(str(path), limits, may_be_link=may_be_link), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            return Fingerprint(_sha256(file, found.st_size), found.st_size, found.st_mtime_ns)
    except Refused as refused:
        return refused
    except OSError as error:
        cause = (error.strerror or "input/output error").lower()
        return Refused(f"cannot be read: {cause}", Reason.FILE, lasting=False)


def _sha256(file: FileIO, size: int) -> str:
    # No more than it had at first: a file that is still being written might never end.
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_READ_BYTES))
    while size > 0 and (num_read := file.readinto(buffer[: min(size, _READ_BYTES)])):
        digest.update(buffer[:num_read])
        size -= num_read
    return digest.hexdigest()
