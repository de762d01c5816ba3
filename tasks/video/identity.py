"""Who is who: a clip is known by what it shows, whatever its file is called."""

import hashlib
import logging
import stat
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.layouts.claim import Claim
from tasks.video.clips import Refused, Segment
from tasks.video.quarantine import Rejected

logger = logging.getLogger(__name__)

_HASHING_THREADS = 4


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
        return Refused("changed while it was read; ingest it again", lasting=False)


def clip_id_of(sha256: str, segment: Segment) -> str:
    """The identity of a stretch of a file: 128 bits in hexadecimal, whatever parameters it is stored with."""
    return hashlib.sha256(f"{sha256}:{segment.key}".encode()).hexdigest()[:32]


def fingerprints_of(claims: Sequence[Claim]) -> dict[Path, Fingerprint | Refused]:
    """Hash every file once; where it cannot be read, say why."""
    files = {claim.path: claim.may_be_link for claim in claims}
    with ThreadPoolExecutor(_HASHING_THREADS) as executor:
        return dict(zip(files, executor.map(_fingerprint, files.keys(), files.values()), strict=True))


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
    refused = Refused(f"has the same content as {first.claim.uri}, which has another {other} ({named})")
    return [Rejected(claim, refused, candidate.clip_id, candidate.fingerprint.sha256)]


def _fingerprint(path: Path, may_be_link: bool) -> Fingerprint | Refused:
    try:
        found = path.stat(follow_symlinks=may_be_link)
        if stat.S_ISLNK(found.st_mode):
            return Refused("is a symbolic link: put the file itself here, or name it in a table")
        if not stat.S_ISREG(found.st_mode):
            return Refused("is not a regular file")
        if found.st_size == 0:
            return Refused("is empty (0 bytes)")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Fingerprint(sha256, found.st_size, found.st_mtime_ns)
    except OSError as error:
        return Refused(f"cannot be read: {(error.strerror or 'input/output error').lower()}", lasting=False)
