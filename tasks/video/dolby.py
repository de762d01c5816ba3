"""Dolby Vision whose pictures mean nothing to other decoders (profile 5, and 10.0): its colours are IPT, not Y'CbCr.

MP4 and MOV carry a record of it with each stream, which is read here. Profiles with a base layer that others can show
(4, 7, 8 and 9) are taken as that.

Source: Dolby Vision Streams Within the ISO Base Media File Format, version 2.4, section 3.2.
"""

import os
from collections.abc import Iterator

_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_RECORDS = (b"dvcC", b"dvvC", b"dvwC")
_MOST_BYTES = 1 << 16


def has_only_dolby_vision(descriptor: int) -> bool:
    """Whether the open file says that a stream of it is Dolby Vision without another base layer."""
    size = os.fstat(descriptor).st_size
    for start, end in _boxes(descriptor, 0, size, _PATH):
        described = os.pread(descriptor, min(end - start, _MOST_BYTES), start)
        for record in _RECORDS:
            at = described.find(record)
            if at >= 0 and _is_alone(described[at + 4 : at + 9]):
                return True
    return False


def _is_alone(record: bytes) -> bool:
    """Version, a byte more, 7 bits of profile; the last byte begins with 4 bits that name what the base layer is."""
    return len(record) == 5 and record[2] >> 1 in (5, 10) and record[4] >> 4 == 0


def _boxes(descriptor: int, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """Where the content of the boxes at ``path`` begins and ends."""
    while start + 8 <= end:
        header = os.pread(descriptor, 16, start)
        if len(header) < 8:
            return
        length, content = int.from_bytes(header[:4], "big"), start + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16], "big"), start + 16
        if length < content - start or start + length > end:
            return
        if header[4:8] == path[0]:
            if len(path) == 1:
                yield content, start + length
            else:
                yield from _boxes(descriptor, content, start + length, path[1:])
        start += length
