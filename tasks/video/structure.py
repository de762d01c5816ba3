"""The boxes of MP4 and MOV and the elements of Matroska, by where they begin and end.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 and RFC 9559 (EBML, Matroska).
"""

import os
from collections.abc import Iterator, Sequence


def boxes(descriptor: int, start: int, end: int, path: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where the content of the boxes at ``path`` begins and ends, among those from ``start`` to ``end``."""
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
                yield from boxes(descriptor, content, start + length, path[1:])
        start += length


def elements(descriptor: int, start: int, end: int, path: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where the content of the EBML elements at ``path`` begins and ends, among those from ``start`` to ``end``.

    One that does not say how long it is lasts until what it lies in ends.
    """
    while start < end:
        header = os.pread(descriptor, 12, start)
        if not header or not 0 < (id_size := 9 - header[0].bit_length()) <= 4:
            return
        length, length_size = ebml_length(header[id_size:])
        if not length_size:
            return
        content = start + id_size + length_size
        stop = end if length is None else min(content + length, end)
        if header[:id_size] == path[0]:
            if len(path) == 1:
                yield content, stop
            else:
                yield from elements(descriptor, content, stop, path[1:])
        start = stop


def ebml_length(field: bytes) -> tuple[int | None, int]:
    """The number at the start of ``field``, None where it says "unknown", and how many bytes it takes."""
    if not field or field[0] == 0:
        return None, 0
    num_bytes = 9 - field[0].bit_length()
    if len(field) < num_bytes:
        return None, 0
    bits = 7 * num_bytes
    value = int.from_bytes(field[:num_bytes], "big") & ((1 << bits) - 1)
    return (None if value == (1 << bits) - 1 else value), num_bytes
