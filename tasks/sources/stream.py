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
from tasks.sources.ledger import Entry, Ledger
from tasks.sources.patience import GaveUp
from tasks.video.clips import Job, Limits, Reason, Recipe, Refused
from tasks.video.identity import Candidate, Fingerprint, clip_id_of
from tasks.video.intake import batches, shelve
from tasks.video.pool import DecodingPool, Outcomes
from tasks.video.shelf import Shelf

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
        candidates: Its clips with their identity, once it was fetched.
        decoding: What was asked of the decoders.
    """

    path: Path
    wanted: StoredObject
    claims: list[Claim]
    candidates: list[Candidate] = field(default_factory=list)
    decoding: list[tuple[list[Candidate], "Future[Outcomes]"]] = field(default_factory=list)

    def identify(self, sha256: str, size: int) -> Fingerprint:
        """Give its clips their identity."""
        found = Fingerprint(sha256, size, 0)
        self.candidates = [Candidate(claim, found, clip_id_of(sha256, claim.segment)) for claim in self.claims]
        return found


class Stream:
    """Fetching and decoding, side by side, driven by one thread.

    Only that thread starts and ends things, so that what waits for room never waits for itself.

    Attributes:
        fingerprints: Of what was fetched, by path in the spool; why it could not be.
        refusals: Why a clip is not taken, by clip_id.
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
        self._bucket, self._ledger, self._shelf = bucket, ledger, shelf
        self._refused_before = refused_before
        self._recipe, self._limits = Recipe.of(ingest), Limits.of(ingest.limits)
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
                    self._decode_what_came()
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
            undecoded = [future for _, future in self._decoding[0][0].decoding if not future.done()]
            if not undecoded:
                return
            heads.add(undecoded[0])
        if heads:
            wait(heads, return_when=FIRST_COMPLETED)

    def _has_room_to_decode(self) -> bool:
        return len(self._decoding) < _DECODED_AHEAD * self._pool.num_workers

    def _decode_what_came(self) -> None:
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
            wanted = [candidate for candidate in arrival.candidates if self._is_wanted(candidate)]
            for batch in batches(wanted):
                segments = tuple(candidate.claim.segment for candidate in batch)
                job = Job(str(arrival.path), segments, self._recipe, self._limits)
                arrival.decoding.append((batch, self._pool.submit(job)))
            self._decoding.append((arrival, fetched))

    def _is_wanted(self, candidate: Candidate) -> bool:
        clip_id = candidate.clip_id
        return clip_id not in self._shelved and not self._shelf.get(clip_id) and clip_id not in self._refused_before

    def _shelve_what_is_decoded(self) -> None:
        while self._decoding and all(future.done() for _, future in self._decoding[0][0].decoding):
            arrival, fetched = self._decoding.popleft()
            lasting = {
                candidate.clip_id: self._refused_before[candidate.clip_id]
                for candidate in arrival.candidates
                if candidate.clip_id in self._refused_before
            }
            for batch, future in arrival.decoding:
                for candidate, outcome in zip(batch, future.result(), strict=True):
                    if isinstance(outcome, Refused):
                        self.refusals[candidate.clip_id] = outcome
                        if outcome.lasting:
                            lasting[candidate.clip_id] = outcome
                    elif self._is_wanted(candidate):
                        shelve(candidate, outcome, self._shelf)
                        self._shelved.add(candidate.clip_id)
            found = fetched.found
            uri = arrival.claims[0].uri
            refused = {clip_id: (verdict.reason.value, str(verdict)) for clip_id, verdict in lasting.items()}
            self._ledger.note(Entry(uri, found.etag, found.size, fetched.version_id, fetched.sha256, refused))
            self._free(arrival)

    def _let_go(self, arrival: Arrival, refused: Refused) -> None:
        self.fingerprints[arrival.path] = refused
        self._free(arrival)

    def _free(self, arrival: Arrival) -> None:
        arrival.path.unlink(missing_ok=True)
        self._room_bytes += arrival.wanted.size
