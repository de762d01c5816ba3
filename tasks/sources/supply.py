"""What ingest asks of a source, wherever it lies: clips, their identity, and their bytes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from tasks.layouts.claim import Claim
from tasks.layouts.rule import LabelRule
from tasks.params.data import IngestParams, SplitParams
from tasks.sources.address import S3Address, Source
from tasks.sources.brought import Brought, Fingerprints
from tasks.video.clips import Job, Limits, Recipe, Refused
from tasks.video.identity import fingerprints_of
from tasks.video.pool import declared_lengths
from tasks.video.shelf import Shelf
from tasks.video.sources import read_claims
from tasks.video.windows import Length


class Supply(Protocol):
    """A source while ingest works on it."""

    @property
    def claims(self) -> list[Claim]:
        """Its clips."""

    @property
    def is_read(self) -> bool:
        """Whether all that :meth:`foreseen` says is so, and not a stand-in for what nobody has read yet."""

    def foreseen(self) -> Fingerprints:
        """What is known of its files before any is decoded."""

    def lengths(self, paths: Sequence[Path], num_workers: int | None) -> list[Length]:
        """How long its files say that their video is, in seconds; None where no one has looked yet."""

    def bring(self, shelf: Shelf, refused_before: Mapping[str, Refused], *, num_workers: int | None) -> Brought:
        """Have every file readable where its claim says, or its clips on the shelf; see :class:`Brought`."""


def supply_of(
    source: Source, data: Path, ingest: IngestParams, split: SplitParams | None, terms: str, *, has_labels: bool
) -> AbstractContextManager[Supply]:
    """The supply of ``source``, to be entered by who holds the dataset's folder.

    Args:
        source: A folder, a table, or a place in a bucket.
        data: The dataset's folder, for what a bucket needs on the way.
        ingest: Section ``ingest``.
        split: Section ``split``, which says whether official splits count.
        terms: Names the parameters that refusals hold for.
        has_labels: Whether the source says what its clips show.

    Raises:
        UserError: There is nothing to read, or the source contradicts itself.
    """
    if isinstance(source, Path):
        claims = read_claims(
            source,
            has_labels=has_labels,
            layout=ingest.layout,
            official=ingest.official_split,
            split=split,
            rule=LabelRule.of(ingest),
        )
        return nullcontext(_Files(claims, Recipe.of(ingest), Limits.of(ingest.limits)))
    return _of_bucket(source, data, ingest, split, terms, has_labels)


class _Files:
    """Files of this machine: ingest decodes them where they lie."""

    is_read = True

    def __init__(self, claims: list[Claim], recipe: Recipe, limits: Limits) -> None:
        self.claims = claims
        self._recipe, self._limits = recipe, limits
        self._fingerprints: Fingerprints = {}

    def foreseen(self) -> Fingerprints:
        self._fingerprints = fingerprints_of(self.claims, self._limits)
        return self._fingerprints

    def lengths(self, paths: Sequence[Path], num_workers: int | None) -> list[Length]:
        jobs = [Job(str(path), (), self._recipe, self._limits) for path in paths]
        return [*declared_lengths(jobs, num_workers=num_workers, memory_gb=self._limits.memory_gb)]

    def bring(self, _shelf: Shelf, _refused_before: Mapping[str, Refused], *, num_workers: int | None) -> Brought:  # noqa: ARG002
        return Brought(self._fingerprints)


@contextmanager
def _of_bucket(
    address: S3Address, data: Path, ingest: IngestParams, split: SplitParams | None, terms: str, has_labels: bool
) -> Iterator[Supply]:
    from tasks.sources.bring import Objects, spool_in  # boto3 takes a second, which folders need not wait for
    from tasks.sources.bucket import Bucket
    from tasks.sources.keys import read_contents
    from tasks.sources.ledger import Ledger

    bucket = Bucket(address.bucket, ingest.bucket)
    with spool_in(data) as spool:
        contents = read_contents(address, bucket, spool, ingest, has_labels=has_labels, split=split)
        ledger = Ledger(data, terms)
        try:
            yield Objects(contents, bucket, ledger, ingest)
        finally:
            ledger.close()
