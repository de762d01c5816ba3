"""What a bucket's objects are: clips by the rules that hold for a folder, whatever their keys look like.

A key is a name and never a path of this machine: each object has its own place in the spool, named by
a hash of its key.
"""

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from models.errors import UserError
from tasks.layouts.boxes import refuse_boxes
from tasks.layouts.claim import VIDEO_SUFFIXES, Claim
from tasks.layouts.folder import no_video, say_loose
from tasks.layouts.listed import read_lists
from tasks.layouts.rule import LabelRule
from tasks.layouts.table import TABLE_NAMES, TABLE_SUFFIXES, read_table
from tasks.layouts.tree import Tree
from tasks.params.data import IngestParams, SplitParams
from tasks.sources.address import S3Address, source_at
from tasks.sources.bucket import Bucket, StoredObject
from tasks.sources.lists import LIST_SUFFIXES, Lists, may_be_list
from tasks.video.clips import Reason, Refused
from tasks.video.sources import LIST_DEPTH, is_list, neither, no_table, recognised

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
    address: S3Address,
    bucket: Bucket,
    spool: Path,
    ingest: IngestParams,
    *,
    has_labels: bool,
    split: SplitParams | None = None,
) -> Contents:
    """List the clips of ``address`` as those of a folder are listed (:func:`tasks.video.sources.read_claims`).

    The paths in a table are keys relative to the table, or ``s3://`` addresses in the same bucket. A clip's uri is its
    object's address. Keys that end in ``/`` mark folders and are passed over.

    Args:
        address: A prefix, or the key of a table or a list.
        bucket: The address's.
        spool: Where objects will lie.
        ingest: Section ``ingest``, which says what layout it is, and how many labels a clip may have.
        has_labels: Whether the source says what its clips show.
        split: Section ``split``, which says whether official splits count.

    Raises:
        UserError: There is nothing to read, or the table or a list contradicts itself.
    """
    for key in bucket.under_way(address.key)[:_NAMED]:
        logger.warning("s3://%s/%s is still being uploaded; the next ingest takes it", address.bucket, key)
    with closing(Lists(bucket, ingest.bucket, spool)) as lists:
        rule = LabelRule.of(ingest)
        published = partial(_published, spool=spool, lists=lists, ingest=ingest, has_labels=has_labels, split=split)
        suffix = PurePosixPath(address.key).suffix.lower()
        if suffix in LIST_SUFFIXES or suffix in TABLE_SUFFIXES:
            return _from_file(address, bucket, spool, lists, ingest, published, has_labels)
        objects = [found for found in bucket.listed(address.prefix) if not found.key.endswith("/")]
        if ingest.layout in ("auto", "table"):
            keys = {found.key: found for found in objects}
            for name in TABLE_NAMES:
                if table := keys.get(address.prefix + name):
                    return _from_table(table, lists.fetched([table])[0], bucket, spool, has_labels, rule)
            if ingest.layout == "table":
                raise no_table(str(address))
        candidates = [found for found in objects if _is_near(found.key.removeprefix(address.prefix))]
        if ingest.layout != "folder" and (ingest.layout != "auto" or lists.are_few(address, candidates)):
            contents = published(address, lists.fetched(candidates), objects)
            if contents is not None:
                return contents
        return _from_folder(address, objects, spool, rule if has_labels else None)


def _is_near(key: str) -> bool:
    return key.count("/") < LIST_DEPTH and not _is_hidden(key.split("/")) and may_be_list(key)


def _is_hidden(parts: Collection[str]) -> bool:
    return any(part.startswith(".") and part not in _UPWARDS for part in parts)


def _from_file(
    address: S3Address,
    bucket: Bucket,
    spool: Path,
    lists: Lists,
    ingest: IngestParams,
    published: Callable[[S3Address, list[Path], Iterable[StoredObject]], Contents | None],
    has_labels: bool,
) -> Contents:
    """Clips of a table, or of a list whose videos lie beside and below it."""
    found = bucket.find(address.key)
    if found is None:
        raise UserError(f"{address}: there is no such object; correct the key")
    [path] = lists.fetched([found])
    with lists.named():
        if ingest.layout == "table" or (ingest.layout == "auto" and not is_list(path)):
            if path.suffix.lower() not in TABLE_SUFFIXES:
                raise neither(str(address))
            refuse_boxes([path])
            return _from_table(found, path, bucket, spool, has_labels, LabelRule.of(ingest))
    folder = S3Address(address.bucket, address.key.rpartition("/")[0])
    contents = published(folder, [path], bucket.listed(folder.prefix))
    if contents is None:
        raise neither(str(address))
    return contents


def _published(
    address: S3Address,
    candidates: list[Path],
    objects: Iterable[StoredObject],
    *,
    spool: Path,
    lists: Lists,
    ingest: IngestParams,
    has_labels: bool,
    split: SplitParams | None,
) -> Contents | None:
    """Clips of a well-known dataset, where ``candidates`` are its lists.

    Keys that are no plain paths are passed over: no list names them.
    """
    with lists.named():
        layout, its_lists = recognised(str(address), candidates, ingest.layout)
        if layout is None:
            return None
        videos: dict[Path, StoredObject] = {}
        for found in objects:
            parts = found.key.removeprefix(address.prefix).split("/")
            is_plain = not any(part in ("", *_UPWARDS) for part in parts) and not _is_hidden(parts)
            if is_plain and PurePosixPath(found.key).suffix.lower() in VIDEO_SUFFIXES:
                videos[Path(*parts)] = found
        tree = Tree(Path(), sorted(videos), [], title=str(address), said=lists.said)
        claims = read_lists(
            layout,
            its_lists,
            tree,
            has_labels=has_labels,
            official=ingest.official_split,
            split=split,
            rule=LabelRule.of(ingest),
        )
    contents = Contents()
    for claim in claims:
        found = videos[claim.path]
        place = _place(spool, found.key)
        contents.claims.append(replace(claim, path=place, uri=str(S3Address(address.bucket, found.key))))
        _put(contents, place, found)
    contents.claims.sort(key=lambda claim: claim.order)
    return contents


def _from_folder(
    address: S3Address, objects: Collection[StoredObject], spool: Path, rule: LabelRule | None
) -> Contents:
    contents, num_others, has_labels = Contents(), 0, rule is not None
    loose: list[str] = []
    logger.info("%s: read as a folder per %s", address, "class" if has_labels else "source")
    for found in objects:
        parts = [part for part in found.key.removeprefix(address.prefix).split("/") if part]
        if _is_hidden(parts):
            continue
        if PurePosixPath(found.key).suffix.lower() not in VIDEO_SUFFIXES:
            num_others += 1
        elif has_labels and len(parts) == 1:
            loose.append(found.key.removeprefix(address.prefix))
        else:
            _take(contents, address, found, parts, spool, rule)
    say_loose(loose)
    if num_others:
        logger.info("%d objects that are not video by their name are left out", num_others)
    if not contents.claims:
        folder = "<class>" if has_labels else "<source>"
        place = S3Address(address.bucket, f"{address.prefix}{folder}/<file>.mp4")
        raise UserError(f"{address}: {no_video(loose)} here; expected {place}, or a table clips.csv")
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


def _from_table(
    table: StoredObject, path: Path, bucket: Bucket, spool: Path, has_labels: bool, rule: LabelRule
) -> Contents:
    address = S3Address(bucket.name, table.key)
    folder = address.key.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    keys: dict[Path, str] = {}

    def find(cell: str) -> Path:
        key = _key_of(cell, address, prefix)
        place = _place(spool, key)
        keys[place] = key
        return place

    logger.info("%s: read as a table of clips", address)
    claims = read_table(path, has_labels=has_labels, name=str(address), find=find, rule=rule)
    contents = Contents([replace(claim, uri=str(S3Address(address.bucket, keys[claim.path]))) for claim in claims])
    listed = {found.key: found for found in bucket.listed(prefix)}
    for place, key in keys.items():
        known = listed.get(key) if key.startswith(prefix) else bucket.find(key)
        _put(contents, place, known or Refused("is not in the bucket, or not yet", Reason.FILE, lasting=False))
    return contents


def _key_of(cell: str, address: S3Address, prefix: str) -> str:
    try:
        named = source_at(cell)
    except UserError as error:
        raise LookupError(str(error)) from None
    if isinstance(named, Path):
        return prefix + "/".join(part for part in cell.split("/") if part != ".")  # as in a folder: ./films/1.mp4
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
