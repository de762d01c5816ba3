import base64
import hashlib
import zlib

import pytest

from tasks.sources.checksums import Digest

CONTENT = b"frames"
MD5 = hashlib.md5(CONTENT).hexdigest()
CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()
SHA256 = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()


def digest(content: bytes) -> Digest:
    found = Digest()
    for byte in content:
        found.update(bytes([byte]))
    return found


@pytest.mark.parametrize("answer", [{"ChecksumCRC32": CRC32}, {"ChecksumSHA256": SHA256}, {}])
def test_sums_of_the_same_bytes_contradict_nothing(answer: dict[str, str]) -> None:
    assert not digest(CONTENT).contradicts(answer)
    assert digest(CONTENT).is_named_by(f'"{MD5}"', answer)
    assert digest(CONTENT).sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("answer", [{"ChecksumCRC32": CRC32}, {"ChecksumSHA256": SHA256}])
def test_other_bytes_are_found_out(answer: dict[str, str]) -> None:
    assert digest(b"frame5").contradicts(answer)
    assert not digest(b"frame5").is_named_by(f'"{MD5}"', {})


def test_sums_over_parts_and_etags_of_encrypted_objects_say_nothing_about_the_whole() -> None:
    other = digest(b"frame5")
    assert not other.contradicts({"ChecksumCRC32": f"{CRC32}-2"})
    assert other.is_named_by(f'"{MD5}-2"', {})
    assert other.is_named_by(f'"{MD5}"', {"ServerSideEncryption": "aws:kms"})
    assert other.is_named_by(f'"{MD5}"', {"SSECustomerAlgorithm": "AES256"})
