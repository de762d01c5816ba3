"""The shards of a dataset while ingest works on it: what they hold, what is added, what nobody names any more."""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.clips.shards import SUFFIX, ClipStore, StoredClip, read_index, verify_shard, write_shard
from models.errors import UserError
from tasks.video.clips import DecodedClip, Recipe
from tasks.video.compaction import due

logger = logging.getLogger(__name__)

# Raised when decoding changes what is stored for the same video and parameters.
DECODER_VERSION = 1
_MAX_SHARD_BYTES = 48 << 20


@dataclass(frozen=True)
class Stored:
    """Where a clip lies, and what probing found: the manifest's columns that do not depend on the source's words."""

    shard: str
    row: int
    facts: dict[str, Any]


class Shelf:
    """Finds stored clips and stores new ones.

    A clip counts as stored if its shard was made by the same recipe, whether or not a manifest names that shard: so an
    ingest that was killed is taken up. A shard that is missing or damaged comes back under its name, once all its clips
    are added again: shards are content, and a dataset version stays what it was.

    Args:
        folder: Where shards lie.
        recipe: How frames are stored.
        clips_per_shard: At most.
        named: Shards that the manifest names, with the clips of each in the order of its rows; where two hold the same
            clip they win.

    Attributes:
        shards: Those that are here, readable, and made by the recipe.
        shards_of_other_recipes: Those that are here and readable, and were made otherwise.
    """

    def __init__(self, folder: Path, recipe: Recipe, clips_per_shard: int, named: Mapping[str, Sequence[str]]) -> None:
        self._folder = folder
        self._note = storage_key(recipe)
        self._clips_per_shard = clips_per_shard
        self._stored: dict[str, Stored] = {}
        self.shards: set[str] = set()
        self.shards_of_other_recipes: set[str] = set()
        self._waiting: list[StoredClip] = []
        self._waiting_bytes = 0
        self._named = named
        self._home = {clip_id: shard for shard, clip_ids in named.items() for clip_id in clip_ids}
        self._returning: dict[str, dict[str, StoredClip]] = {}
        self._returning_bytes = 0
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.name not in named, path.name)):
            self._read(path)

    def check(self, clip_ids: Iterable[str]) -> None:
        """Read the shards that hold these clips; those whose bytes are not what their names say count as missing."""
        shards = sorted({stored.shard for clip_id in clip_ids if (stored := self._stored.get(clip_id))})
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            whole = executor.map(verify_shard, [self._folder / shard for shard in shards])
            damaged = {shard for shard, is_whole in zip(shards, whole, strict=True) if not is_whole}
        for shard in sorted(damaged):
            logger.warning("%s: this shard is damaged; its clips are decoded again", self._folder / shard)
        self.shards -= damaged
        self._stored = {clip_id: stored for clip_id, stored in self._stored.items() if stored.shard not in damaged}

    def get(self, clip_id: str) -> Stored | None:
        """The stored clip, if there is one."""
        return self._stored.get(clip_id)

    def add(self, clip_id: str, clip: DecodedClip) -> None:
        """Store a clip, in a shard that is written once it is full."""
        facts = {**asdict(clip.facts), "frames": len(clip.frames)}
        text = json.dumps(facts, sort_keys=True)
        stored = StoredClip(clip_id, clip.width, clip.height, clip.times_s, clip.frames, text)
        home = self._home.get(clip_id)
        if home is None or home in self.shards_of_other_recipes:
            self._put(stored)
            return
        returning = self._returning.setdefault(home, {})
        returning[clip_id] = stored
        self._returning_bytes += _num_bytes(stored)
        if len(returning) == len(self._named[home]):
            clips = self._come_back(home)
            self._write([clips[clip_id] for clip_id in self._named[home]])
        while self._returning_bytes > _MAX_SHARD_BYTES:
            self._give_up(next(iter(self._returning)))

    def flush(self) -> None:
        """Write all that waits."""
        for home in list(self._returning):
            self._give_up(home)
        self._write(self._waiting)
        self._waiting, self._waiting_bytes = [], 0

    def compact(self, live: Iterable[str]) -> None:
        """Merge small shards where many have gathered; see :mod:`tasks.video.compaction`.

        Args:
            live: The clips that the dataset keeps; of merged shards no others are taken over.
        """
        while shards := due(self._fullness(clips := self._by_shard(live))):
            store = ClipStore(self._folder)
            for clip_id, stored in (entry for shard in shards for entry in clips[shard]):
                self._put(_copied(store, clip_id, stored))
            self.flush()

    def sweep(self, named: Iterable[str]) -> None:
        """Remove every file that is not one of the ``named`` shards: leftovers of interrupted or older ingests."""
        keep = set(named)
        for path in sorted(self._folder.iterdir()):
            if path.name not in keep and not path.is_dir():
                path.unlink()

    def _put(self, clip: StoredClip) -> None:
        self._waiting.append(clip)
        self._waiting_bytes += _num_bytes(clip)
        if len(self._waiting) >= self._clips_per_shard or self._waiting_bytes >= _MAX_SHARD_BYTES:
            self._write(self._waiting)
            self._waiting, self._waiting_bytes = [], 0

    def _by_shard(self, live: Iterable[str]) -> dict[str, list[tuple[str, Stored]]]:
        clips: dict[str, list[tuple[str, Stored]]] = {}
        for clip_id in live:
            stored = self._stored[clip_id]
            clips.setdefault(stored.shard, []).append((clip_id, stored))
        return {shard: sorted(entries, key=lambda entry: entry[1].row) for shard, entries in clips.items()}

    def _fullness(self, clips: Mapping[str, Sequence[tuple[str, Stored]]]) -> dict[str, float]:
        return {
            shard: max(len(entries) / self._clips_per_shard, (self._folder / shard).stat().st_size / _MAX_SHARD_BYTES)
            for shard, entries in clips.items()
        }

    def _come_back(self, home: str) -> dict[str, StoredClip]:
        clips = self._returning.pop(home)
        self._returning_bytes -= sum(map(_num_bytes, clips.values()))
        return clips

    def _give_up(self, home: str) -> None:
        """Clips of a shard of which others are refused by now, or are too far away in the source to wait for."""
        for clip in self._come_back(home).values():
            self._put(clip)

    def _write(self, clips: Sequence[StoredClip]) -> None:
        if not clips:
            return
        places = write_shard(self._folder, clips, self._note)
        for clip, (shard, row) in zip(clips, places, strict=True):
            self._stored[clip.clip_id] = Stored(shard, row, json.loads(clip.facts))
            self.shards.add(shard)

    def _read(self, path: Path) -> None:
        try:
            index = read_index(path)
        except UserError as error:
            logger.warning("%s", error)
            return
        if index.note != self._note:
            self.shards_of_other_recipes.add(path.name)
            return
        self.shards.add(path.name)
        for row, (clip_id, facts) in enumerate(index.facts.items()):
            self._stored.setdefault(clip_id, Stored(path.name, row, json.loads(facts)))


def _copied(store: ClipStore, clip_id: str, stored: Stored) -> StoredClip:
    place = (stored.shard, stored.row)
    frames = [bytes(frame) for frame in store.frames(*place)]
    text = json.dumps(stored.facts, sort_keys=True)
    return StoredClip(clip_id, *store.size(*place), store.times(*place).tolist(), frames, text)


def _num_bytes(clip: StoredClip) -> int:
    return sum(map(len, clip.frames))


def storage_key(recipe: Recipe) -> str:
    """The part of the recipe that changes stored frames, as text."""
    frames = {"short_side": recipe.short_side, "max_fps": recipe.max_fps, "jpeg_quality": recipe.jpeg_quality}
    return json.dumps({"decoder": DECODER_VERSION, **frames}, sort_keys=True)
