"""Dolby Vision whose pictures mean nothing to other decoders (profile 5, and 10.0): its colours are IPT, not Y'CbCr.

MP4, MOV and Matroska carry a record of it with each stream, which is read here. Profiles with a base layer that others
can show (4, 7, 8 and 9) are taken as that.

Sources: Dolby Vision Streams Within the ISO Base Media File Format, version 2.4, section 3.2; Matroska, Block Addition
Mappings (https://www.matroska.org/technical/codec_specs.html).
"""

import os
from collections.abc import Iterator

from tasks.video.structure import boxes, elements

_RECORDS = (b"dvcC", b"dvvC", b"dvwC")
_IN_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_MAPPING = (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\x41\xe4")
_KIND, _RECORD = (b"\x41\xe7",), (b"\x41\xed",)
_MOST_BYTES = 1 << 16


def has_only_dolby_vision(descriptor: int) -> bool:
    """Whether the open file says that a stream of it is Dolby Vision without another base layer."""
    size = os.fstat(descriptor).st_size
    return any(map(_is_alone, (*_of_boxes(descriptor, size), *_of_elements(descriptor, size))))


def _is_alone(record: bytes) -> bool:
    """Version, a byte more, 7 bits of profile; the last byte begins with 4 bits that name what the base layer is."""
    return len(record) == 5 and record[2] >> 1 in (5, 10) and record[4] >> 4 == 0


def _of_boxes(descriptor: int, size: int) -> Iterator[bytes]:
    for start, end in boxes(descriptor, 0, size, _IN_BOXES):
        described = os.pread(descriptor, min(end - start, _MOST_BYTES), start)
        for record in _RECORDS:
            if (at := described.find(record)) >= 0:
                yield described[at + 4 : at + 9]


def _of_elements(descriptor: int, size: int) -> Iterator[bytes]:
    for start, end in elements(descriptor, 0, size, _MAPPING):
        kinds = [os.pread(descriptor, 4, at) for at, _ in elements(descriptor, start, end, _KIND)]
        if any(kind in _RECORDS for kind in kinds):
            for at, stop in elements(descriptor, start, end, _RECORD):
                yield os.pread(descriptor, min(stop - at, 5), at)
