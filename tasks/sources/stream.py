"""A spool of bounded size between a bucket and the shelf: fetch, hash, decode, delete, several objects at a time.

What lies here at a time never exceeds ``ingest.bucket.spool_mb``. Objects go through in the order of their claims,
however many are fetched side by side, so that shards do not depend on the network's mood.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.params.data import IngestParams
from tasks.sources.bucket import Bucket, Fetched, StoredObject
from tasks.sources.ledger import Entry, Ledger, noted_verdicts
from tasks.sources.patience import GaveUp
from tasks.video.clips import Job, Limits, Reason, Recipe, Refused
from tasks.video.identity import Candidate, Fingerprint, clip_id_of
from tasks.video.intake import batches, shelve
from tasks.video.pool import AHEAD_BYTES, DecodingPool, Outcomes, num_bytes_of
from tasks.video.shelf import Shelf
from tasks.video.windows import Length, Lengths, cut

logger = logging.getLogger(__name__)

_DECODED_AHEAD = 3
_GIVEN_UP_IN_A_ROW = 3
_LOG_EVERY = 100


@dataclass
class Arrival:
    """One object on its way.

    Attributes:
        path: Its place in the spool.
        wanted: The object as it was listed.
        claims: Its clips.
        candidates: Its clips with their identity, once it was fetched; of a long film its windows.
        waiting: What is still to be asked of the decoders.
        decoding: What was asked of them.
        lasting: Refusals of its clips that would come again.
    """

    path: Path
    wanted: StoredObject
    claims: list[Claim]
    candidates: list[Candidate] = field(default_factory=list)
    waiting: deque[list[Candidate]] = field(default_factory=deque)
    decoding: "deque[tuple[list[Candidate], Future[Outcomes]]]" = field(default_factory=deque)
    lasting: dict[str, Refused] = field(default_factory=dict)

    def identify(self, sha256: str, size: int) -> Fingerprint:
        """Give its clips their identity."""
        found = Fingerprint(sha256, size, 0)
        self.candidates = [Candidate(claim, found, clip_id_of(sha256, claim.segment)) for claim in self.claims]
        return found

    def cut(self, ingest: IngestParams, lengths: Lengths) -> None:
        """Put windows in the place of candidates that are longer than one, where section ``ingest`` wants that."""
        self.candidates, _ = cut(self.candidates, ingest, lengths)


class Stream:
    """Fetching and decoding, side by side, driven by one thread.

    Only that thread starts and ends things, so that what waits for room never waits for itself.

    Attributes:
        fingerprints: Of what was fetched, by path in the spool; why it could not be.
        refusals: Why a clip is not taken, by clip_id.
        lengths: How long films say that they are, in seconds, by path in the spool, where windows were to be cut.
    """

    def __init__(
        self,
        bucket: Bucket,
        ledger: Ledger,
        shelf: Shelf,
        refused_before: Mapping[str, Refused],
        ingest: IngestParams,
        num_workers: int | None,
    ) -> None:
        """Start no process yet.

        Args:
            bucket: Where the objects are.
            ledger: Is told what was fetched.
            shelf: Where clips go.
            refused_before: Verdicts, by clip_id, that need no second look.
            ingest: Section ``ingest``.
            num_workers: Decoding processes; default: one a CPU.
        """
        self.fingerprints: dict[Path, Fingerprint | Refused] = {}
        self.refusals: dict[str, Refused] = {}
        self.lengths: dict[Path, Length] = {}
        self._bucket, self._ledger, self._shelf = bucket, ledger, shelf
        self._refused_before = refused_before
        self._ingest, self._recipe, self._limits = ingest, Recipe.of(ingest), Limits.of(ingest.limits)
        self._spool_mb, self._connections = ingest.bucket.spool_mb, ingest.bucket.connections
        self._room_bytes = self._spool_bytes = int(self._spool_mb * 1e6)
        self._pool = DecodingPool(num_workers, memory_gb=self._limits.memory_gb)
        self._fetching: deque[tuple[Arrival, Future[Fetched]]] = deque()
        self._decoding: deque[tuple[Arrival, Fetched]] = deque()
        self._shelved: set[str] = set()
        self._num_given_up = 0

    def run(self, arrivals: Sequence[Arrival]) -> None:
        """Bring all of them.

        Raises:
            UserError: S3 does not answer, or says no to everything.
        """
        waiting = deque(arrivals)
        with (
            closing(self._pool),
            ThreadPoolExecutor(self._connections, thread_name_prefix="fetch") as threads,
            tqdm(total=len(arrivals), desc="fetch", unit="object", disable=None) as progress,
        ):
            try:
                while waiting or self._fetching or self._decoding:
                    self._start(waiting, threads)
                    self._wait_for_a_head()
                    self._identify_what_came()
                    self._decode()
                    self._shelve_what_is_decoded()
                    num_done = len(arrivals) - len(waiting) - len(self._fetching) - len(self._decoding)
                    if num_done // _LOG_EVERY > progress.n // _LOG_EVERY:
                        logger.info("%d of %d objects done", num_done, len(arrivals))
                    progress.update(num_done - progress.n)
            except BaseException:
                self._bucket.stop()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _start(self, waiting: deque[Arrival], threads: ThreadPoolExecutor) -> None:
        while waiting and len(self._fetching) < self._connections:
            size = waiting[0].wanted.size
            if size > self._spool_bytes:
                reason = f"has {size / 1e6:.0f} MB, more than ingest.bucket.spool_mb ({self._spool_mb:g})"
                self.fingerprints[waiting.popleft().path] = Refused(reason, Reason.BUDGET, lasting=False)
                continue
            if size > self._room_bytes:
                return
            self._room_bytes -= size
            arrival = waiting.popleft()
            self._fetching.append((arrival, threads.submit(self._bucket.fetch, arrival.wanted, arrival.path)))

    def _wait_for_a_head(self) -> None:
        heads: set[Future[Any]] = set()
        if self._fetching and self._has_room_to_decode():
            heads.add(self._fetching[0][1])
        if self._decoding:
            decoding = self._decoding[0][0].decoding
            if not decoding or decoding[0][1].done():
                return
            heads.add(decoding[0][1])
        if heads:
            wait(heads, return_when=FIRST_COMPLETED)

    def _has_room_to_decode(self) -> bool:
        return len(self._decoding) < _DECODED_AHEAD * self._pool.num_workers

    def _identify_what_came(self) -> None:
        while self._fetching and self._has_room_to_decode() and self._fetching[0][1].done():
            arrival, future = self._fetching.popleft()
            try:
                fetched = future.result()
            except Refused as refused:
                self._let_go(arrival, refused)
                continue
            except GaveUp as gave_up:
                self._num_given_up += 1
                if self._num_given_up >= _GIVEN_UP_IN_A_ROW:
                    raise UserError(
                        f"s3://{self._bucket.name}: {gave_up}; run the same command later: what was finished is kept"
                    ) from None
                self._let_go(arrival, Refused(f"could not be fetched: {gave_up}", Reason.FILE, lasting=False))
                continue
            self._num_given_up = 0
            self.fingerprints[arrival.path] = arrival.identify(fetched.sha256, fetched.found.size)
            arrival.cut(self._ingest, self._measured)
            wanted = [candidate for candidate in arrival.candidates if self._is_wanted(candidate)]
            arrival.waiting.extend(batches(wanted))
            self._decoding.append((arrival, fetched))

    def _measured(self, paths: Sequence[Path]) -> list[Length]:
        """Nothing is decoded for it, and the decoders have work meanwhile: it is waited for."""
        asked = [self._pool.length(Job(str(path), (), self._recipe, self._limits)) for path in paths]
        found: list[Length] = [future.result() for future in asked]
        self.lengths |= dict(zip(paths, found, strict=True))
        return found

    def _decode(self) -> None:
        """Ask no more of the decoders than keeps them busy: a film of an hour is many batches."""
        under_way = [future for arrival, _ in self._decoding for _, future in arrival.decoding]
        num_free = _DECODED_AHEAD * self._pool.num_workers - len(under_way)
        for arrival, _ in self._decoding:
            while arrival.waiting and num_free > 0 and (not under_way or num_bytes_of(under_way) < AHEAD_BYTES):
                batch = arrival.waiting.popleft()
                segments = tuple(candidate.claim.segment for candidate in batch)
                future = self._pool.submit(Job(str(arrival.path), segments, self._recipe, self._limits))
                arrival.decoding.append((batch, future))
                under_way.append(future)
                num_free -= 1

    def _is_wanted(self, candidate: Candidate) -> bool:
        clip_id = candidate.clip_id
        return clip_id not in self._shelved and not self._shelf.get(clip_id) and clip_id not in self._refused_before

    def _shelve_what_is_decoded(self) -> None:
        while self._decoding:
            arrival, fetched = self._decoding[0]
            while arrival.decoding and arrival.decoding[0][1].done():
                batch, future = arrival.decoding.popleft()
                self._shelve(arrival, batch, future.result())
            if arrival.decoding or arrival.waiting:
                return
            self._decoding.popleft()
            self._note(arrival, fetched)
            self._free(arrival)

    def _shelve(self, arrival: Arrival, batch: Sequence[Candidate], outcomes: Outcomes) -> None:
        for candidate, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Refused):
                self.refusals[candidate.clip_id] = outcome
                if outcome.lasting:
                    arrival.lasting[candidate.clip_id] = outcome
            elif self._is_wanted(candidate):
                shelve(candidate, outcome, self._shelf)
                self._shelved.add(candidate.clip_id)

    def _note(self, arrival: Arrival, fetched: Fetched) -> None:
        before = {
            candidate.clip_id: self._refused_before[candidate.clip_id]
            for candidate in arrival.candidates
            if candidate.clip_id in self._refused_before
        }
        length, found = self.lengths.get(arrival.path), fetched.found
        refused = noted_verdicts({**before, **arrival.lasting}, length)
        length_s = length if isinstance(length, float) else None
        uri, version = arrival.claims[0].uri, fetched.version_id
        self._ledger.note(Entry(uri, found.etag, found.size, version, fetched.sha256, refused, length_s))

    def _let_go(self, arrival: Arrival, refused: Refused) -> None:
        self.fingerprints[arrival.path] = refused
        self._free(arrival)

    def _free(self, arrival: Arrival) -> None:
        arrival.path.unlink(missing_ok=True)
        self._room_bytes += arrival.wanted.size
