"""What a bucket's objects are: clips by the rules that hold for a folder, whatever their keys look like.

A key is a name and never a path of this machine: each object has its own place in the spool, named by
a hash of its key.
"""

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from models.errors import UserError
from tasks.layouts.claim import VIDEO_SUFFIXES, Claim
from tasks.layouts.rule import ONE_LABEL, LabelRule
from tasks.layouts.table import TABLE_NAMES, TABLE_SUFFIXES, read_table
from tasks.sources.address import S3Address, source_at
from tasks.sources.bucket import Bucket, StoredObject
from tasks.sources.patience import GaveUp
from tasks.video.clips import Reason, Refused

logger = logging.getLogger(__name__)

_NAMED = 3


@dataclass
class Contents:
    """Clips that lie in a bucket.

    Attributes:
        claims: In a stable order; their paths are places in the spool where nothing lies yet.
        objects: What belongs at a path.
        refused: Why nothing will lie at a path.
    """

    claims: list[Claim] = field(default_factory=list)
    objects: dict[Path, StoredObject] = field(default_factory=dict)
    refused: dict[Path, Refused] = field(default_factory=dict)


def read_contents(
    address: S3Address, bucket: Bucket, spool: Path, *, has_labels: bool, rule: LabelRule = ONE_LABEL
) -> Contents:
    """List the clips of ``address`` as those of a folder are listed.

    The paths in a table are keys relative to the table, or ``s3://`` addresses in the same bucket. A clip's uri is its
    object's address. Keys that end in ``/`` mark folders and are passed over.

    Args:
        address: A prefix, or the key of a table.
        bucket: The address's.
        spool: Where objects will lie.
        has_labels: Whether the source says what its clips show.
        rule: How many labels a clip may have.

    Raises:
        UserError: There is nothing to read, or the table contradicts itself.
    """
    for key in bucket.under_way(address.key)[:_NAMED]:
        logger.warning("s3://%s/%s is still being uploaded; the next ingest takes it", address.bucket, key)
    if PurePosixPath(address.key).suffix.lower() in TABLE_SUFFIXES:
        return _from_table(address, bucket, spool, has_labels, rule)
    objects = [found for found in bucket.listed(address.prefix) if not found.key.endswith("/")]
    keys = {found.key for found in objects}
    for name in TABLE_NAMES:
        if (key := address.prefix + name) in keys:
            return _from_table(S3Address(address.bucket, key), bucket, spool, has_labels, rule)
    return _from_folder(address, objects, spool, rule if has_labels else None)


def _from_folder(
    address: S3Address, objects: Collection[StoredObject], spool: Path, rule: LabelRule | None
) -> Contents:
    contents, num_others, has_labels = Contents(), 0, rule is not None
    for found in objects:
        parts = [part for part in found.key.removeprefix(address.prefix).split("/") if part]
        if any(part.startswith(".") and part not in _UPWARDS for part in parts):
            continue
        if PurePosixPath(found.key).suffix.lower() not in VIDEO_SUFFIXES:
            num_others += 1
        elif has_labels and len(parts) == 1:
            logger.warning("s3://%s/%s lies outside of a class's folder and is left out", address.bucket, found.key)
        else:
            _take(contents, address, found, parts, spool, rule)
    if num_others:
        logger.info("%d objects that are not video by their name are left out", num_others)
    if not contents.claims:
        folder = "<class>" if has_labels else "<source>"
        place = S3Address(address.bucket, f"{address.prefix}{folder}/<file>.mp4")
        raise UserError(f"{address}: no video here; expected {place}, or a table clips.csv")
    contents.claims.sort(key=lambda claim: claim.order)
    return contents


_UPWARDS = (".", "..")


def _take(
    contents: Contents, address: S3Address, found: StoredObject, parts: list[str], spool: Path, rule: LabelRule | None
) -> None:
    path = _place(spool, found.key)
    of_source = parts[1:] if rule else parts
    source_id = of_source[0] if len(of_source) > 1 else "/".join(parts)
    label, refused = None, None
    if any(part in _UPWARDS for part in parts):
        message = "has '.' or '..' in its key, which programs take for a way out; copy it to a plain key"
        refused = Refused(message, Reason.FILE)
    elif rule:
        try:
            label = rule.label([parts[0]], str(address))
        except UserError:
            message = f"lies under {parts[0]!r}, which cannot be the name of a class; copy it to another key"
            refused = Refused(message, Reason.FILE)
    contents.claims.append(Claim(path, str(S3Address(address.bucket, found.key)), label, source_id))
    _put(contents, path, refused or found)


def _from_table(address: S3Address, bucket: Bucket, spool: Path, has_labels: bool, rule: LabelRule) -> Contents:
    table = bucket.find(address.key)
    if table is None:
        raise UserError(f"{address}: there is no such object; correct the key")
    path = spool / f"table{PurePosixPath(address.key).suffix.lower()}"
    try:
        bucket.fetch(table, path)
    except Refused as refused:
        raise UserError(f"{address}: it {refused}") from None
    except GaveUp as gave_up:
        raise UserError(f"{address}: {gave_up}; run the same command later") from None
    folder = address.key.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    keys: dict[Path, str] = {}

    def find(cell: str) -> Path:
        key = _key_of(cell, address, prefix)
        place = _place(spool, key)
        keys[place] = key
        return place

    claims = read_table(path, has_labels=has_labels, name=str(address), find=find, rule=rule)
    path.unlink()
    contents = Contents([replace(claim, uri=str(S3Address(address.bucket, keys[claim.path]))) for claim in claims])
    listed = {found.key: found for found in bucket.listed(prefix)}
    for place, key in keys.items():
        known = listed.get(key) if key.startswith(prefix) else bucket.find(key)
        _put(contents, place, known or Refused("is not in the bucket, or not yet", Reason.FILE, lasting=False))
    return contents


def _key_of(cell: str, address: S3Address, prefix: str) -> str:
    named = source_at(cell)
    if isinstance(named, Path):
        return prefix + cell
    if named.bucket != address.bucket:
        raise LookupError(f"{cell} lies in another bucket than the table; copy it, or make a table there")
    return named.key


def _put(contents: Contents, path: Path, found: StoredObject | Refused) -> None:
    if isinstance(found, Refused):
        contents.refused[path] = found
    elif found.size == 0:
        contents.refused[path] = Refused("is empty (0 bytes)", Reason.FILE, lasting=False)
    else:
        contents.objects[path] = found


def _place(spool: Path, key: str) -> Path:
    suffix = PurePosixPath(key).suffix.lower()
    return spool / (hashlib.sha256(key.encode()).hexdigest()[:32] + (suffix if suffix in VIDEO_SUFFIXES else ""))
