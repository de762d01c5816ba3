"""Where a container says that it ends, against where the file does: what was cut off, and what was put behind.

Decoders do not ask: they show what is there of a file that was cut between two frames, and play a video that is an
archive too. Only top-level structure is read here, no frame.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and RFC 9559 (EBML, Matroska), Microsoft's AVI RIFF reference, ISO/IEC
13818-1 (transport stream), PKWARE's APPNOTE 6.3 (ZIP).
"""

import os
import struct
from collections.abc import Callable

from tasks.video.clips import Reason, Refused
from tasks.video.structure import ebml_length
from tasks.video.transport import layout_of

_FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"sidx")
_EBML, _SEGMENT, _VOID = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", 0xEC
_PADDING_READ = 1 << 20
_ZIP_END, _ZIP_END_SIZE, _ZIP_COMMENT = b"PK\x05\x06", 22, 0xFFFF


def flaw_of(descriptor: int) -> Refused | None:
    """What speaks against the open file by its length alone: ``CUT_OFF``, ``TRAILING``, or nothing."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _ZIP_END_SIZE + _ZIP_COMMENT, max(0, size - _ZIP_END_SIZE - _ZIP_COMMENT))
    if _ends_as_zip(tail):
        return Refused("is a ZIP archive as well as a video; store the video anew", Reason.TRAILING)
    head = os.pread(descriptor, 12, 0)
    end = _container(head)(descriptor, size)
    if end is None or end == size:
        return None
    if end > size:
        return Refused(f"is cut off: {size:,} of the {end:,} bytes that it declares are there", Reason.CUT_OFF)
    if not any(os.pread(descriptor, _PADDING_READ, end)):
        return None
    return Refused(f"has {size - end:,} bytes behind its end that are no video; store it anew", Reason.TRAILING)


def _container(head: bytes) -> Callable[[int, int], int | None]:
    if head[4:8] in _FIRST_BOXES:
        return _end_of_boxes
    if head.startswith(_EBML):
        return _end_of_matroska
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return _end_of_avi
    return _end_of_packets


def _end_of_boxes(descriptor: int, size: int) -> int:
    at = 0
    while at < size:
        header = os.pread(descriptor, 16, at)
        if len(header) < 8:
            return at
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length == 0 and kind == b"mdat":
            return size  # it goes on to the end of the file, wherever that is
        is_box = length >= 8 and kind.isascii() and kind.isalnum()
        if not is_box or (at + length > size and kind not in _FIRST_BOXES):
            return at
        at += length
    return at


def _end_of_matroska(descriptor: int, size: int) -> int | None:
    at = 0
    while at < size:
        header = os.pread(descriptor, 12, at)
        if header[:4] in (_EBML, _SEGMENT):
            id_size = 4
        elif header[0] == _VOID:
            id_size = 1
        else:
            return at
        length, length_size = ebml_length(header[id_size:])
        if length is None:
            return None  # a recording that was written as it came
        at += id_size + length_size + length
    return at


def _end_of_avi(descriptor: int, size: int) -> int | None:
    at = 0
    while at < size:
        header = os.pread(descriptor, 12, at)
        if len(header) < 12 or header[:4] != b"RIFF":
            return at
        (length,) = struct.unpack("<I", header[4:8])
        if length == 0:
            return None  # never closed by its recorder
        at += 8 + length + length % 2
    return at


def _end_of_packets(descriptor: int, size: int) -> int | None:
    if (layout := layout_of(descriptor)) is None:
        return None
    packet_size, _ = layout
    return -(-size // packet_size) * packet_size


def _ends_as_zip(tail: bytes) -> bool:
    at = tail.rfind(_ZIP_END)
    while at >= 0:
        comment = tail[at + _ZIP_END_SIZE - 2 : at + _ZIP_END_SIZE]
        if len(comment) == 2 and at + _ZIP_END_SIZE + int.from_bytes(comment, "little") == len(tail):
            return True
        at = tail.rfind(_ZIP_END, 0, at)
    return False
