"""Whether the bytes that came are those that were stored."""

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping
from typing import Any


class Digest:
    """Sums over an object's bytes as they come."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32 = 0

    def update(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._md5.update(chunk)
        self._crc32 = zlib.crc32(chunk, self._crc32)

    @property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        return self._sha256.hexdigest()

    def contradicts(self, answer: Mapping[str, Any]) -> bool:
        """Whether a sum over the whole object that was stored with it is another one.

        Args:
            answer: The answer to the request that began to read it.
        """
        found = {"ChecksumSHA256": self._sha256.digest(), "ChecksumCRC32": self._crc32.to_bytes(4, "big")}
        named = {kind: answer[kind] for kind in found if "-" not in answer.get(kind, "-")}
        return any(base64.b64encode(found[kind]).decode() != text for kind, text in named.items())

    def is_named_by(self, etag: str, answer: Mapping[str, Any]) -> bool:
        """Whether the object's ETag is the MD5 of these bytes, or is no MD5.

        It is one for what was put in one part and not encrypted with a key of KMS or of the customer.
        """
        plain = answer.get("ServerSideEncryption", "AES256") == "AES256" and not answer.get("SSECustomerAlgorithm")
        is_md5 = plain and re.fullmatch(r'"?[0-9a-fA-F]{32}"?', etag)
        return not is_md5 or self._md5.hexdigest() == etag.strip('"').lower()
