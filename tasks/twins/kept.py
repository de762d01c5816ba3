"""Prints of a dataset's clips, worked out once for each shard and kept.

A shard never changes and is named by its content, so what follows from it may be kept under its name: adding 1% of
clips works out 1% of prints. They lie in ``settings().home`` and not in the dataset: they follow from it, and a lost
one costs time and nothing else.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.shards import ClipStore, read_index, verify_shard
from models.errors import UserError
from models.files import replacing
from tasks.twins.prints import EMPTY, Print, print_of

# Raised when the same frames give other words.
_VERSION = 1


@dataclass(frozen=True)
class Prints:
    """The words of many clips, one clip after the other.

    Attributes:
        motion_W: See :class:`tasks.twins.prints.Print`.
        still_W: The same.
        moves_W: The same.
        starts_C: Where each clip's words begin; one more, which is their number, at the end.
    """

    motion_W: NDArray[np.uint64]
    still_W: NDArray[np.uint64]
    moves_W: NDArray[np.bool_]
    starts_C: NDArray[np.int64]

    @property
    def num_words(self) -> NDArray[np.int64]:
        """Words of each clip."""
        return np.diff(self.starts_C)

    @property
    def num_moving(self) -> NDArray[np.int64]:
        """Words of each clip in which something moves."""
        until_W = np.append(0, np.cumsum(self.moves_W))
        moving_C: NDArray[np.int64] = until_W[self.starts_C[1:]] - until_W[self.starts_C[:-1]]
        return moving_C


def joined(prints: Sequence[Print]) -> Prints:
    """Prints of single clips as one."""
    whole = [EMPTY, *prints]
    return Prints(
        np.concatenate([each.motion_W for each in whole]),
        np.concatenate([each.still_W for each in whole]),
        np.concatenate([each.moves_W for each in whole]),
        np.cumsum([len(each.moves_W) for each in whole]),
    )


def prints_of(clips: pd.DataFrame, shards: Path, home: Path) -> Prints:
    """The prints of ``clips``, in their order; of clips whose shard is missing or damaged there is none.

    Args:
        clips: Columns ``shard`` and ``row``.
        shards: Folder of the shards.
        home: Where prints are kept.
    """
    names = clips["shard"].unique()
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        by_shard = dict(zip(names, executor.map(lambda name: _of_shard(shards / name, home), names), strict=True))
    return joined([_row(by_shard[shard], row) for shard, row in zip(clips["shard"], clips["row"], strict=True)])


def _row(prints: Prints, row: int) -> Print:
    if not 0 <= row < len(prints.starts_C) - 1:
        return EMPTY
    words = slice(prints.starts_C[row], prints.starts_C[row + 1])
    return Print(prints.motion_W[words], prints.still_W[words], prints.moves_W[words])


def _of_shard(shard: Path, home: Path) -> Prints:
    kept = home / "prints" / str(_VERSION) / f"{shard.stem}.npz"
    try:
        with kept.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return Prints(**{name: content[name] for name in ("motion_W", "still_W", "moves_W", "starts_C")})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        pass  # not there yet, or half of it
    if not shard.is_file() or not verify_shard(shard):
        return joined([])
    store = ClipStore(shard.parent)
    try:
        rows = range(len(read_index(shard).facts))
        found = joined([print_of(store.frames(shard.name, row), store.times(shard.name, row)) for row in rows])
    except (UserError, ValueError):
        return joined([])
    with replacing(kept) as temporary, temporary.open("wb") as written:
        np.savez(written, **vars(found))
    return found
