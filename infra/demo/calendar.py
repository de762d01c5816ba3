"""The days after round one: which camera looks how on which day, what is filmed, and the files that come in."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infra.demo.dataset import Clip, World, mapping
from infra.demo.looks import look_named
from infra.demo.takes import ACTIONS, NUM_FRAMES, SIZE
from models.errors import UserError
from models.files import replacing

FIRST_DAY = datetime(2026, 1, 25, tzinfo=UTC)
"""Round one's clips are of the twenty days before."""

_FIRST_BATCH = 1000
_NOTE = ".calendar.json"


class Shot(NamedTuple):
    """A clip that comes in, and what nobody has told the platform: what it shows.

    Attributes:
        path: Its file, relative to the day's folder; it says nothing about what the clip shows.
        source_id: Its camera.
        captured_at: When it was recorded, which no two clips of a camera have in common.
        label: What it shows.
        is_new: Whether its camera has the new look.
        world: What decides its bytes.
        clip: Likewise.
    """

    path: str
    source_id: str
    captured_at: datetime
    label: str
    is_new: bool
    world: World
    clip: Clip


@dataclass(frozen=True)
class Calendar:
    """What decides every day.

    Attributes:
        look: How changed cameras look, one of :data:`infra.demo.looks.LOOKS`.
        quiet_days: Days before that.
        cameras: How many there are: the first of round one's.
        every: Every so-many-th camera changes; 1 for all.
        clips_per_day: Of each camera.
        seed: Of the cameras, and of who does what when.
        num_frames: Frames a clip.
        size: Height and width of a frame in pixels; even.
    """

    look: str = "high_camera"
    quiet_days: int = 12
    cameras: int = 24
    every: int = 2
    clips_per_day: int = 4
    seed: int = 0
    num_frames: int = NUM_FRAMES
    size: tuple[int, int] = SIZE

    def __post_init__(self) -> None:
        look_named(self.look)
        for name in ("cameras", "every", "clips_per_day"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: this must be at least 1")

    def date(self, day: int) -> datetime:
        """The beginning of ``day``, which counts from 1."""
        return FIRST_DAY + timedelta(days=day - 1)

    def changed(self, day: int) -> bool:
        """Whether the new look is there."""
        return day > self.quiet_days

    def shots(self, day: int) -> Iterator[Shot]:
        """All clips of ``day``. Over the days each camera films each action equally often."""
        for camera in range(self.cameras):
            is_new = self.changed(day) and camera % self.every == 0
            world = World(self.look if is_new else "base", self.seed, _FIRST_BATCH + day, self.num_frames, self.size)
            for number in range(self.clips_per_day):
                label = self._label(camera, (day - 1) * self.clips_per_day + number)
                clip = Clip(camera, number + 1, label)
                at = self._moment(camera, day, number, world)
                source = f"cam-{camera + 1:02}"
                yield Shot(f"{source}/{at:%H-%M-%S}.mp4", source, at, label, is_new, world, clip)

    def _label(self, camera: int, count: int) -> str:
        turn, place = divmod(count, len(ACTIONS))
        order = np.random.default_rng([self.seed, camera, 2, turn]).permutation(len(ACTIONS))
        return list(ACTIONS)[int(order[place])]

    def _moment(self, camera: int, day: int, number: int, world: World) -> datetime:
        """In the look's hours of the day itself, each clip in a stretch of its own."""
        from_hour, to_hour = look_named(world.look).hours
        stretch_s = (min(to_hour, 24) - from_hour) * 3600 // self.clips_per_day
        rng = np.random.default_rng([self.seed, camera, 3, day, number])
        second = from_hour * 3600 + number * stretch_s + int(rng.integers(stretch_s))
        return self.date(day) + timedelta(seconds=second)


def claim(folder: Path, calendar: Calendar) -> None:
    """Note whose days ``folder`` holds, so that those of two calendars never mix.

    Raises:
        UserError: It holds another calendar's.
    """
    wanted, note = json.dumps(asdict(calendar), indent=2) + "\n", folder / _NOTE
    if not note.exists():
        with replacing(note) as temporary:
            temporary.write_text(wanted)
    elif note.read_text() != wanted:
        raise UserError(
            f"{folder}: another calendar was begun here ({_NOTE} says which); use its options, or move it away"
        )


def write_day(calendar: Calendar, day: int, folder: Path, workers: int = 1) -> Path:
    """Render the files of ``day`` into ``folder``, with a table that says where and when, and not what.

    Files that are there already are kept: a run that was stopped goes on.

    Returns:
        The table.
    """
    shots = list(calendar.shots(day))
    missing = [shot for shot in shots if not (folder / shot.path).exists()]
    with mapping(min(workers, len(missing))) as mapped:
        for _ in mapped(partial(_write_shot, folder), missing):
            pass
    return _write_table(shots, folder / "clips.csv")


def _write_shot(folder: Path, shot: Shot) -> None:
    with replacing(folder / shot.path) as temporary:
        temporary.write_bytes(shot.world.encoded(shot.clip))


def _write_table(shots: Sequence[Shot], table: Path) -> Path:
    with replacing(table) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "source_id", "captured_at"])
        for shot in shots:
            writer.writerow([shot.path, shot.source_id, f"{shot.captured_at:%Y-%m-%dT%H:%M:%SZ}"])
    return table
