"""A bucket as ingest sees it: which objects it holds, and their bytes, whatever the network does meanwhile.

Credentials, region and endpoint come by AWS's own chain: environment (``AWS_PROFILE``, ``AWS_ENDPOINT_URL_S3`` ...),
``~/.aws``, the role of the machine.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import IO, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from models.errors import UserError
from tasks.params.data import BucketParams
from tasks.settings import settings
from tasks.sources.checksums import Digest
from tasks.sources.patience import FAILURES, Failure, GaveUp, Patience, code_of, in_words, status_of
from tasks.video.clips import Reason, Refused

logger = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
_CHUNK_BYTES = 1 << 20
_VERSIONS = 3
_READINGS = 5
_OTHER_CONTENT = 412
_CHANGED = "changed while it was read; the next ingest takes it"
_GONE = ("404", "NoSuchKey", "NoSuchVersion")
_T = TypeVar("_T")


@dataclass(frozen=True)
class StoredObject:
    """An object as the bucket lists it.

    Attributes:
        key: Its name in the bucket.
        etag: Changes with its content.
        size: In bytes.
    """

    key: str
    etag: str
    size: int


@dataclass(frozen=True)
class Fetched:
    """An object that was read whole.

    Attributes:
        found: What was read, which may be newer than what was listed.
        sha256: Of its content.
        version_id: In a bucket with versions.
    """

    found: StoredObject
    sha256: str
    version_id: str | None


class Bucket:
    """Lists and reads one bucket; safe to use from several threads.

    Args:
        name: The bucket.
        params: Section ``ingest.bucket``.
    """

    def __init__(self, name: str, params: BucketParams) -> None:
        self.name = name
        self._deadline_s = params.deadline_s
        self._paid: dict[str, Any] = {"RequestPayer": "requester"} if settings().s3_requester_pays else {}
        self._stopped = Event()
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            max_pool_connections=params.connections,
            retries={"total_max_attempts": 1, "mode": "standard"},  # tasks.sources.patience tries again
            response_checksum_validation="when_required",  # a part of an object does not have the sum of the whole
        )
        try:
            self._client = boto3.session.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise UserError(f"s3://{name}: {error}; correct AWS's configuration") from None

    def stop(self) -> None:
        """End what other threads wait for."""
        self._stopped.set()

    def listed(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys begin with ``prefix``, by key.

        Raises:
            UserError: The bucket does not let itself be listed.
        """
        following: dict[str, Any] = {}
        while True:
            page = self._told(
                partial(self._client.list_objects_v2, Bucket=self.name, Prefix=prefix, **following, **self._paid)
            )
            for entry in page.get("Contents", ()):
                yield StoredObject(entry["Key"], entry["ETag"], int(entry["Size"]))
            if not page.get("IsTruncated"):
                return
            following = {"ContinuationToken": page["NextContinuationToken"]}

    def under_way(self, prefix: str) -> list[str]:
        """Keys that somebody is uploading in parts right now, the first thousand; none where that may not be asked."""
        try:
            page = self._patiently(partial(self._client.list_multipart_uploads, Bucket=self.name, Prefix=prefix))
        except (GaveUp, *FAILURES):
            return []
        return sorted({upload["Key"] for upload in page.get("Uploads", ())})

    def find(self, key: str) -> StoredObject | None:
        """The object of that key, if there is one.

        Raises:
            UserError: The bucket does not say.
        """
        try:
            return self._head(key)
        except Refused:
            return None
        except (GaveUp, *FAILURES) as failure:
            raise self._explained(failure) from None

    def fetch(self, wanted: StoredObject, path: Path) -> Fetched:
        """Write the object to ``path``, whole and checked.

        What breaks off is taken up where it broke off. An object that was overwritten since it was listed is read as it
        is now, unless it has grown, for which there may be no room.

        Raises:
            Refused: It is gone, keeps changing, may not be read, or its bytes are not those that were uploaded.
            GaveUp: It did not come before the deadline.
            UserError: No object will come, as where credentials have expired.
        """
        try:
            return self._as_it_is_now(wanted, path)
        except FAILURES as failure:
            raise self._verdict(failure) from None

    def _as_it_is_now(self, wanted: StoredObject, path: Path) -> Fetched:
        found = wanted
        for _ in range(_VERSIONS):
            try:
                return self._read_whole(found, path)
            except ClientError as failure:
                if status_of(failure) != _OTHER_CONTENT:
                    raise
            found = self._head(wanted.key)
            if found.size > wanted.size:
                break
            logger.info("s3://%s/%s was overwritten while it was read; it is read anew", self.name, wanted.key)
        raise Refused(_CHANGED, Reason.FILE, lasting=False)

    def _read_whole(self, found: StoredObject, path: Path) -> Fetched:
        patience = Patience(self._deadline_s, self._stopped)
        readings: list[str] = []
        for _ in range(_READINGS):
            try:
                digest, answer = self._read(found, path, patience)
            except FlexibleChecksumError:
                readings.append("")
                continue
            is_whole = digest.size == found.size and not digest.contradicts(answer)
            # Two readings alike are what is stored: some stores have ETags that look like an MD5 and are none.
            if is_whole and (digest.is_named_by(found.etag, answer) or digest.sha256 in readings):
                return Fetched(found, digest.sha256, answer.get("VersionId"))
            readings.append(digest.sha256)
        if len(set(readings)) == 1:
            raise Refused("is stored with other bytes than its checksum says; upload it again", Reason.FILE)
        not_whole = f"did not arrive whole in {_READINGS} readings; the next ingest tries again"
        raise Refused(not_whole, Reason.FILE, lasting=False)

    def _read(self, found: StoredObject, path: Path, patience: Patience) -> tuple[Digest, dict[str, Any]]:
        """One reading, in as many parts as it takes; with the answer that it began with."""
        digest, first = Digest(), dict[str, Any]()
        with path.open("wb") as file:
            while True:
                try:
                    answer = self._asked(found, digest.size)
                    first = first or answer
                    self._copy(answer["Body"], file, digest, found.size, patience)
                    return digest, first
                except FlexibleChecksumError:
                    raise
                except FAILURES as failure:
                    if digest.size == found.size:
                        return digest, first
                    patience.wait(failure)

    def _asked(self, found: StoredObject, offset: int) -> dict[str, Any]:
        part: dict[str, Any] = {"Range": f"bytes={offset}-"} if offset else {"ChecksumMode": "ENABLED"}
        answer: dict[str, Any] = self._client.get_object(
            Bucket=self.name, Key=found.key, IfMatch=found.etag, **part, **self._paid
        )
        return answer

    def _copy(self, body: Any, file: IO[bytes], digest: Digest, size: int, patience: Patience) -> None:
        try:
            # One byte more than promised is asked for, so that a sum at the end of the body is checked.
            while chunk := body.read(min(_CHUNK_BYTES, size - digest.size + 1)):
                if digest.size + len(chunk) > size:
                    return
                file.write(chunk)
                digest.update(chunk)
                patience.progressed()
                if self._stopped.is_set():
                    raise GaveUp("all was to stop")
        finally:
            body.close()

    def _head(self, key: str) -> StoredObject:
        try:
            answer = self._patiently(partial(self._client.head_object, Bucket=self.name, Key=key, **self._paid))
        except ClientError as failure:
            if code_of(failure) in _GONE:
                raise Refused("was removed after it was listed", Reason.FILE, lasting=False) from None
            raise
        return StoredObject(key, answer["ETag"], int(answer["ContentLength"]))

    def _patiently(self, call: Callable[[], _T]) -> _T:
        patience = Patience(self._deadline_s, self._stopped)
        while True:
            try:
                return call()
            except FAILURES as failure:
                patience.wait(failure)

    def _told(self, call: Callable[[], _T]) -> _T:
        try:
            return self._patiently(call)
        except (GaveUp, *FAILURES) as failure:
            raise self._explained(failure) from None

    def _verdict(self, failure: Failure) -> Exception:
        """Of a failure to read one object: about it alone, or about all."""
        if isinstance(failure, ClientError):
            if code_of(failure) in _GONE:
                return Refused("was removed after it was listed", Reason.FILE, lasting=False)
            if code_of(failure) == "InvalidObjectState":
                return Refused("lies in an archive; restore it, then ingest again", Reason.FILE, lasting=False)
            if code_of(failure) in ("AccessDenied", "403"):
                return Refused("may not be read; allow s3:GetObject, then ingest again", Reason.FILE, lasting=False)
            if code_of(failure) == "InvalidRange":  # it shrank between two parts of it
                return Refused(_CHANGED, Reason.FILE, lasting=False)
        return self._explained(failure)

    def _explained(self, failure: GaveUp | Failure) -> UserError:
        where = f"s3://{self.name}"
        if isinstance(failure, GaveUp):
            return UserError(f"{where}: {failure}; run the same command later: what was finished is kept")
        if isinstance(failure, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
            return UserError(
                f"{where}: {in_words(failure)}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if isinstance(failure, ClientError):
            remedy = _REMEDIES.get(code_of(failure), "see the message of S3")
            said = failure.response.get("Error", {}).get("Message", "")
            return UserError(f"{where}: S3 says {in_words(failure)} {said}".rstrip() + f"; {remedy}")
        return UserError(f"{where}: {in_words(failure)}; correct the endpoint or AWS's configuration")


_REMEDIES = {
    "NoSuchBucket": "correct the bucket's name, or the endpoint (AWS_ENDPOINT_URL_S3)",
    "AccessDenied": "allow s3:ListBucket and s3:GetObject; where the reader pays, set VIDEOLOOP_S3_REQUESTER_PAYS=true",
    "403": "allow s3:ListBucket and s3:GetObject; where the reader pays, set VIDEOLOOP_S3_REQUESTER_PAYS=true",
    "ExpiredToken": "sign in again",
    "InvalidAccessKeyId": "correct AWS_ACCESS_KEY_ID, or sign in again",
    "SignatureDoesNotMatch": "correct AWS_SECRET_ACCESS_KEY",
    "RequestTimeTooSkewed": "set this machine's clock",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
}
