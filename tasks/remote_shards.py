"""Shards of a dataset version straight from the DVC remote on S3 that it was pushed to.

DVC names objects by MD5 and lists a folder's files in one of them; a shard's own name, the SHA-256 of its bytes, is
what it is held against once it is here. So ``dvc push`` is all that is needed, and only the manifest has to be here.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from models.clips.cache import ShardCache
from models.clips.shards import ShardFolder, Shards
from models.errors import UserError
from tasks import layout
from tasks.settings import settings

_CHUNK_BYTES = 1 << 20
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 10, 30


def shards_of(data: Path) -> Shards:
    """Where the dataset in ``data`` has its shards: its own folder, or what ``VIDEOLOOP_SHARDS`` names.

    Raises:
        UserError: The variable is no S3 address, or DVC does not keep the dataset.
    """
    config = settings()
    if not config.shards:
        return ShardFolder(data / layout.SHARDS.name)
    remote = DvcRemote(config.shards, _version(data))
    return ShardCache(config.home / "shards", int(config.shard_cache_gb * 1e9), remote)


class DvcRemote:
    """The shards of one dataset version.

    Args:
        url: Of the remote, ``s3://BUCKET/PREFIX``.
        version: DVC's hash of the data folder.
    """

    def __init__(self, url: str, version: str) -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not url.startswith("s3://") or not bucket:
            raise UserError(
                f"VIDEOLOOP_SHARDS: it is {url!r} and must be s3://BUCKET/PREFIX, the address of a DVC remote"
            )
        self._url, self._bucket, self._prefix = url, bucket, prefix.strip("/")
        self._version = version

    def size(self, shard: str) -> int:
        """Bytes of a shard."""
        return int(self._call("head_object", self._key(shard))["ContentLength"])

    def read(self, shard: str, start: int, stop: int) -> bytes:
        """Bytes of a shard from ``start`` to before ``stop``."""
        return self._content(self._key(shard), Range=f"bytes={start}-{stop - 1}")

    def download(self, shard: str, file: BinaryIO) -> None:
        """Write all of a shard to ``file``."""
        from botocore.exceptions import BotoCoreError

        body = self._call("get_object", self._key(shard))["Body"]
        try:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
        except BotoCoreError as error:
            raise OSError(str(error)) from None

    def _content(self, key: str, **more: str) -> bytes:
        from botocore.exceptions import BotoCoreError

        try:
            content: bytes = self._call("get_object", key, **more)["Body"].read()
        except BotoCoreError as error:
            raise OSError(str(error)) from None
        return content

    def _call(self, operation: str, key: str, **more: str) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(Bucket=self._bucket, Key=key, **more)
        except (BotoCoreError, ClientError) as error:
            raise OSError(str(error)) from None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        retries = {"mode": "standard", "max_attempts": 5}
        timeouts = {"connect_timeout": _CONNECT_TIMEOUT_S, "read_timeout": _READ_TIMEOUT_S}
        # A session of its own: the default one is not safe to be used first by several threads.
        return boto3.Session().client("s3", config=Config(retries=retries, max_pool_connections=32, **timeouts))

    @cached_property
    def _md5_of(self) -> dict[str, str]:
        try:
            listed = json.loads(self._content(self._object(self._version)))
        except OSError as error:
            raise UserError(
                f"{self._url}: it does not hold this dataset version ({error}); run `dvc push`, or set "
                "VIDEOLOOP_SHARDS to the remote that has it"
            ) from None
        return {Path(entry["relpath"]).name: entry["md5"] for entry in listed}

    def _key(self, shard: str) -> str:
        if shard not in self._md5_of:
            raise UserError(f"{self._url}: the pushed dataset has no shard {shard}; run `dvc add data && dvc push`")
        return self._object(self._md5_of[shard])

    def _object(self, md5: str) -> str:
        return "/".join([*([self._prefix] if self._prefix else []), "files/md5", md5[:2], md5[2:]])


def _version(data: Path) -> str:
    path = data.parent / f"{layout.DATA.name}.dvc"
    try:
        return str(yaml.safe_load(path.read_text(encoding="utf-8"))["outs"][0]["md5"])
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        raise UserError(
            f"{path}: it names no dataset version to stream; check out a commit that has it, or unset VIDEOLOOP_SHARDS"
        ) from None
