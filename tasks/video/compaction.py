"""When small shards become larger ones.

Every ingest leaves a shard that is not full, and never fills up one that is there: what is pushed once stays. Were
that all, a dataset that grows every hour would end as a heap of small files. So shards of about the same size are
merged once sixteen of them are there (size-tiered compaction of log-structured stores; O'Neil et al. 1996, "The
log-structured merge-tree"). A clip is written anew at most once for each factor of sixteen between its first shard and
a full one, and no more than fifteen shards of a size stay.
"""

import math
from collections.abc import Mapping

FAN_IN = 16


def due(fullness: Mapping[str, float]) -> list[str]:
    """Shards to merge now, none where there are fewer than sixteen of a size; of several sizes the smallest.

    Args:
        fullness: Of each shard, as a share of a full one; 1 and above is full.
    """
    by_size: dict[int, list[str]] = {}
    for shard, share in sorted(fullness.items()):
        if share < 1.0:
            by_size.setdefault(math.floor(-math.log(share, FAN_IN)), []).append(shard)
    ready = [size for size, shards in by_size.items() if len(shards) >= FAN_IN]
    return by_size[max(ready)] if ready else []
