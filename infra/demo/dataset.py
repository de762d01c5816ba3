"""The world as a folder of video files with a table of labels: what somebody with cameras would hand over."""

import csv
import json
import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from tqdm import tqdm

from infra.demo.cameras import Camera, draw_camera
from infra.demo.looks import look_named
from infra.demo.takes import ACTIONS, FPS, NUM_FRAMES, SIZE, Take, draw_take
from infra.demo.video import encode
from models.errors import UserError
from models.files import replacing
from tasks.process import die_with_parent

logger = logging.getLogger(__name__)

_NOTE = ".world.json"
_LOG_EVERY = 100


class Clip(NamedTuple):
    """Which clip of a world: camera (from 0), number (from 1), action."""

    camera: int
    number: int
    label: str


@dataclass(frozen=True)
class World:
    """What decides every clip, and so its bytes.

    Attributes:
        look: One of :data:`infra.demo.looks.LOOKS`.
        seed: Of the cameras and of what happens before them.
        batch: Another batch shows the same cameras and people later, doing other things.
        num_frames: Frames a clip.
        size: Height and width of a frame in pixels; even.
    """

    look: str = "base"
    seed: int = 0
    batch: int = 0
    num_frames: int = NUM_FRAMES
    size: tuple[int, int] = SIZE

    def __post_init__(self) -> None:
        look_named(self.look)
        for name in ("seed", "batch"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name} {getattr(self, name)}: this must be 0 or more")

    def take(self, clip: Clip) -> Take:
        """What happens in a clip."""
        camera = _camera(clip.camera, self.look, self.seed)
        key = (self.seed, crc32(self.look.encode()), clip.camera)
        return draw_take(camera, clip.label, clip.number, look_named(self.look), self.batch, key)

    def encoded(self, clip: Clip) -> bytes:
        """The clip's video file."""
        return encode(self.take(clip).film(self.num_frames, self.size), FPS)


@lru_cache(maxsize=128)
def _camera(index: int, look: str, seed: int) -> Camera:
    return draw_camera(index, look_named(look), seed)


def write_world(
    world: World,
    out: Path,
    *,
    cameras: int,
    clips_per_action: int,
    actions: Sequence[str] = tuple(ACTIONS),
    workers: int = 1,
) -> Path:
    """Render clips into ``out/<camera>/<action>-<number>.mp4`` and write ``out/clips.csv``.

    Clips that are there already are kept: a run that was stopped goes on, and larger numbers add to what smaller ones
    gave. A clip's bytes depend on the world, its camera, action and number, and on nothing else.

    Returns:
        The table: ``path`` relative to its folder, ``label``, ``source_id``, ``captured_at``.

    Raises:
        UserError: A number is below 1, or ``out`` holds another world or something else.
    """
    for name, value in (("cameras", cameras), ("clips-per-action", clips_per_action), ("workers", workers)):
        if value < 1:
            raise UserError(f"--{name} {value}: this must be at least 1")
    _claim(out, world)
    clips = [Clip(*which) for which in product(range(cameras), range(1, clips_per_action + 1), actions)]
    missing = [clip for clip in clips if not (out / world.take(clip).path).exists()]
    if len(missing) < len(clips):
        logger.info("%d of %d clips are there already", len(clips) - len(missing), len(clips))
    with mapping(min(workers, len(missing))) as mapped:
        rendered = mapped(partial(_write_clip, world, out), missing)
        for done, _ in enumerate(tqdm(rendered, "render", len(missing), unit="clip", disable=None), start=1):
            if done % _LOG_EVERY == 0:
                logger.info("rendered %d of %d clips", done, len(missing))
    return _write_table(world, out, clips)


def _claim(out: Path, world: World) -> None:
    """Note which world the folder holds, so that clips of two worlds never mix."""
    wanted = json.dumps(asdict(world), indent=2) + "\n"
    note = out / _NOTE
    if note.exists():
        if note.read_text() != wanted:
            raise UserError(f"{out}: this folder holds another world ({_NOTE} in it says which); choose an empty one")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: something else is here; choose a new or empty folder")
    else:
        with replacing(note) as temporary:
            temporary.write_text(wanted)


def _write_clip(world: World, out: Path, clip: Clip) -> None:
    with replacing(out / world.take(clip).path) as temporary:
        temporary.write_bytes(world.encoded(clip))


@contextmanager
def mapping(workers: int) -> Iterator[Callable[[Callable[[Any], None], Sequence[Any]], Iterator[None]]]:
    """A ``map``, here or over processes, none of which outlives this one."""
    if workers <= 1:
        yield map
        return
    # A fresh interpreter each: a fork of a process with threads may hang.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=die_with_parent) as pool:
        yield partial(pool.map, chunksize=4)


def _write_table(world: World, out: Path, clips: Sequence[Clip]) -> Path:
    table = out / "clips.csv"
    with replacing(table) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "source_id", "captured_at"])
        for take in (world.take(clip) for clip in clips):
            writer.writerow([take.path, take.label, take.camera.source_id, f"{take.captured_at:%Y-%m-%dT%H:%M:%SZ}"])
    return table
