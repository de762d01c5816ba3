"""The shards of a dataset while ingest works on it: what they hold, what is added, what nobody names any more."""

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.clips.shards import SUFFIX, StoredClip, read_index, write_shard
from models.errors import UserError
from tasks.video.clips import DecodedClip, Recipe

logger = logging.getLogger(__name__)

# Raised when decoding changes what is stored for the same video and parameters.
DECODER_VERSION = 1
_MAX_SHARD_BYTES = 256 << 20


@dataclass(frozen=True)
class Stored:
    """Where a clip lies, and what probing found: the manifest's columns that do not depend on the source's words."""

    shard: str
    row: int
    facts: dict[str, Any]


class Shelf:
    """Finds stored clips and stores new ones.

    A clip counts as stored if its shard was made by the same recipe, whether or not a manifest names that shard: so an
    ingest that was killed is taken up.

    Args:
        folder: Where shards lie.
        recipe: How frames are stored.
        clips_per_shard: At most.
        preferred: Shards that the manifest names; where two hold the same clip they win.

    Attributes:
        shards: Those that are here, readable, and made by the recipe.
        shards_of_other_recipes: Those that are here and readable, and were made otherwise.
    """

    def __init__(self, folder: Path, recipe: Recipe, clips_per_shard: int, preferred: Collection[str]) -> None:
        self._folder = folder
        self._note = storage_key(recipe)
        self._clips_per_shard = clips_per_shard
        self._stored: dict[str, Stored] = {}
        self.shards: set[str] = set()
        self.shards_of_other_recipes: set[str] = set()
        self._waiting: list[StoredClip] = []
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: (path.name not in preferred, path.name)):
            self._read(path)

    def get(self, clip_id: str) -> Stored | None:
        """The stored clip, if there is one."""
        return self._stored.get(clip_id)

    def add(self, clip_id: str, clip: DecodedClip) -> None:
        """Store a clip, in a shard that is written once it is full."""
        facts = {**asdict(clip.facts), "frames": len(clip.frames)}
        text = json.dumps(facts, sort_keys=True)
        self._waiting.append(StoredClip(clip_id, clip.width, clip.height, clip.times_s, clip.frames, text))
        num_bytes = sum(len(frame) for waiting in self._waiting for frame in waiting.frames)
        if len(self._waiting) >= self._clips_per_shard or num_bytes >= _MAX_SHARD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a shard."""
        if not self._waiting:
            return
        places = write_shard(self._folder, self._waiting, self._note)
        for clip, (shard, row) in zip(self._waiting, places, strict=True):
            self._stored[clip.clip_id] = Stored(shard, row, json.loads(clip.facts))
            self.shards.add(shard)
        self._waiting.clear()

    def sweep(self, named: Iterable[str]) -> None:
        """Remove every file that is not one of the ``named`` shards: leftovers of interrupted or older ingests."""
        keep = set(named)
        for path in sorted(self._folder.iterdir()):
            if path.name not in keep and not path.is_dir():
                path.unlink()

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


def storage_key(recipe: Recipe) -> str:
    """The part of the recipe that changes stored frames, as text."""
    frames = {"short_side": recipe.short_side, "max_fps": recipe.max_fps, "jpeg_quality": recipe.jpeg_quality}
    return json.dumps({"decoder": DECODER_VERSION, **frames}, sort_keys=True)
