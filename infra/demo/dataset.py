"""The world as a folder of video files with a table of labels: what a customer would hand over."""

import csv
import io
import json
import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path

from tqdm import tqdm

from infra.demo.looks import look_named
from infra.demo.video import encode
from infra.demo.world import ACTIONS, CLIP_S, FPS, SIZE, Camera, Take, draw_camera, draw_take
from models.errors import UserError
from tasks.process import die_with_parent

logger = logging.getLogger(__name__)

_LOG_EVERY = 100
_SPEC = ".world.json"


@dataclass(frozen=True)
class WorldSpec:
    """What decides every clip of a world, and so its bytes.

    Attributes:
        look: One of :data:`infra.demo.looks.LOOKS`.
        seed: Of the cameras and of what happens before them.
        batch: Another batch shows the same cameras with the same people, later and doing other things.
        num_frames: Frames a clip.
        height: Of a frame, in pixels; even.
        width: Of a frame, in pixels; even.
    """

    look: str = "base"
    seed: int = 0
    batch: int = 0
    num_frames: int = round(CLIP_S * FPS)
    height: int = SIZE[0]
    width: int = SIZE[1]


@dataclass(frozen=True)
class Clip:
    """Which clip of a world: camera (from 0), action, and number (from 1)."""

    camera: int
    label: str
    number: int


def write_world(
    out: Path, spec: WorldSpec, *, cameras: int, clips_per_action: int, workers: int = 1, actions: int | None = None
) -> Path:
    """Render a world's clips into ``out`` and write ``out/clips.csv``; clips that are there already are kept.

    A larger number of cameras or clips adds to what a smaller one gave.

    Returns:
        The table: ``path`` relative to its folder, ``label``, ``source_id``, ``captured_at``.

    Raises:
        UserError: A number makes no sense, or ``out`` holds another world or something else.
    """
    _check(spec, cameras=cameras, clips_per_action=clips_per_action, workers=workers)
    _claim(out, spec)
    labels = sorted(ACTIONS)[:actions]
    clips = [
        Clip(camera, label, number)
        for camera, number, label in product(range(cameras), range(1, clips_per_action + 1), labels)
    ]
    missing = [clip for clip in clips if not (out / _take(spec, clip).path).exists()]
    if kept := len(clips) - len(missing):
        logger.info("%d of %d clips are there already", kept, len(clips))
    for camera in {clip.camera for clip in missing}:
        (out / _camera(spec, camera).source_id).mkdir(exist_ok=True)
    with _mapper(min(workers, len(missing))) as mapped:
        progress = tqdm(mapped(partial(_render, out, spec), missing), "render", len(missing), unit="clip", disable=None)
        for done, _ in enumerate(progress, start=1):
            if done % _LOG_EVERY == 0:
                logger.info("rendered %d of %d clips", done, len(missing))
    table = out / "clips.csv"
    _replace(table, _table(spec, clips).encode())
    return table


def _check(spec: WorldSpec, **numbers: int) -> None:
    look_named(spec.look)
    for name, value in numbers.items():
        if value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: this must be at least 1")
    if spec.seed < 0:
        raise UserError(f"--seed {spec.seed}: this must be 0 or more")


def _claim(out: Path, spec: WorldSpec) -> None:
    """Note which world the folder holds, so that clips of two worlds never mix."""
    wanted = json.dumps(asdict(spec), indent=2) + "\n"
    note = out / _SPEC
    if note.exists():
        if note.read_text() != wanted:
            raise UserError(f"{out}: this folder holds another world (see {_SPEC} in it); choose an empty one")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: this holds something else; choose a new or empty folder")
    out.mkdir(parents=True, exist_ok=True)
    _replace(note, wanted.encode())


@lru_cache(maxsize=64)
def _camera(spec: WorldSpec, index: int) -> Camera:
    return draw_camera(index, look_named(spec.look), spec.seed)


def _take(spec: WorldSpec, clip: Clip) -> Take:
    return draw_take(
        _camera(spec, clip.camera),
        clip.label,
        clip.number,
        look_named(spec.look),
        key=(spec.seed, clip.camera, spec.batch),
    )


def _render(out: Path, spec: WorldSpec, clip: Clip) -> None:
    take = _take(spec, clip)
    _replace(out / take.path, encode(take.film(spec.num_frames, (spec.height, spec.width)), FPS))


@contextmanager
def _mapper(workers: int) -> Iterator[partial]:
    if workers <= 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=die_with_parent) as pool:
        yield partial(pool.map, chunksize=4)


def _table(spec: WorldSpec, clips: list[Clip]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "source_id", "captured_at"])
    for take in (_take(spec, clip) for clip in clips):
        captured_at = take.captured_at.isoformat().replace("+00:00", "Z")
        writer.writerow([take.path, take.label, take.camera.source_id, captured_at])
    return text.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write a file all or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
