"""Packets that a transport stream has lost, by their counters (ISO/IEC 13818-1, 2.4.3.3).

FFmpeg notices a jump of a counter only in the middle of a picture; where whole pictures are gone it says nothing.
"""

import os

import numpy as np
from numpy.typing import NDArray

_SYNC = 0x47
# Size, and where in it the first byte lies; before that are a recorder's own.
_LAYOUTS = ((188, 0), (192, 4), (204, 0))
_READ_PACKETS = 1 << 16
_ANNOUNCED = -1


def layout_of(descriptor: int) -> tuple[int, int] | None:
    """Bytes of a packet, and where in it the first byte lies; None where the open file is no transport stream."""
    head = os.pread(descriptor, 2 * 204, 0)
    for size, sync_at in _LAYOUTS:
        if len(head) > size + sync_at and head[sync_at] == head[size + sync_at] == _SYNC:
            return size, sync_at
    return None


def num_jumps(descriptor: int, pid: int) -> int:
    """How often the counter of stream ``pid`` jumps, or a packet of the open file does not begin as one."""
    layout = layout_of(descriptor)
    if layout is None:  # FFmpeg searches for the first whole packet, whatever was lost before it
        return 1
    packet_size, sync_at = layout
    jumps, at, last = 0, 0, _ANNOUNCED
    while content := os.pread(descriptor, packet_size * _READ_PACKETS, at):
        at += len(content)
        usable = len(content) // packet_size * packet_size
        packets = np.frombuffer(content[:usable], np.uint8).reshape(-1, packet_size)[:, sync_at:]
        is_sound = packets[:, 0] == _SYNC
        jumps += int((~is_sound).sum())
        counters = np.concatenate([[last], _counters(packets[is_sound], pid)])
        is_known = (counters[1:] != _ANNOUNCED) & (counters[:-1] != _ANNOUNCED)
        jumps += int(((np.diff(counters) % 16 > 1) & is_known).sum())  # a packet may be sent twice
        last = int(counters[-1])
    return jumps


def _counters(packets: NDArray[np.uint8], pid: int) -> NDArray[np.int64]:
    numbers = (packets[:, 1].astype(np.int64) & 0x1F) << 8 | packets[:, 2]
    has_payload = packets[:, 3] & 0x10 != 0
    mine = packets[(numbers == pid) & has_payload]
    # One that announces a break may go on with any counter.
    announces = (mine[:, 3] & 0x20 != 0) & (mine[:, 4] > 0) & (mine[:, 5] & 0x80 != 0)
    return np.where(announces, _ANNOUNCED, mine[:, 3] & 0x0F).astype(np.int64)
