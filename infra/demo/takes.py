"""What happens before the cameras: actions, and the clips in which they are filmed."""

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from infra.demo.arrays import Array, Frames, array
from infra.demo.cameras import Camera
from infra.demo.looks import Look
from infra.demo.people import Person, figure
from infra.demo.renderer import render
from infra.demo.skeleton import Motion, load_motions

FPS = 12
NUM_FRAMES = 24
SIZE = (128, 128)

_FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_BATCH_DAYS = 20
_MOMENT_WITHIN_S = (0.5, 1.5)


class Recording(NamedTuple):
    """A recorded motion that shows an action.

    Attributes:
        motion: Its name.
        moment_s: The moment that makes it this action, which every clip of it holds; None where any stretch does.
    """

    motion: str
    moment_s: float | None = None


# Two dances and two ways of getting up are one action each, as people would label them.
ACTIONS = {
    "backflip": (Recording("backflip"),),
    "cartwheel": (Recording("cartwheel", 1.4),),
    "crawl": (Recording("crawl"),),
    "dance": (Recording("dance_a"), Recording("dance_b")),
    "get_up": (Recording("getup_facedown", 2.3), Recording("getup_faceup", 2.6)),
    "jump": (Recording("jump"),),
    "kick": (Recording("kick", 0.75),),
    "punch": (Recording("punch", 1.1),),
    "roll": (Recording("roll"),),
    "run": (Recording("run"),),
    "spin": (Recording("spin", 1.9),),
    "spin_kick": (Recording("spinkick"),),
    "walk": (Recording("walk"),),
}


@dataclass(frozen=True)
class Take:
    """One clip of one action: what happens, and when.

    Attributes:
        camera: Who films.
        label: The action.
        number: Counts a camera's clips of this action, from 1.
        motion: The recorded motion.
        start_s: Time of the motion at which the clip begins.
        speed: How fast the motion goes; 1 is as recorded.
        heading: Where the person faces, in radians about y.
        spot: Where they are in the middle of the clip: x and z in metres.
        person: Who.
        captured_at: When.
        key: Seeds the sensor's noise.
    """

    camera: Camera
    label: str
    number: int
    motion: Motion
    start_s: float
    speed: float
    heading: float
    spot: tuple[float, float]
    person: Person
    captured_at: datetime
    key: tuple[int, ...]

    @property
    def path(self) -> str:
        """Where its file is, relative to the world's folder."""
        return f"{self.camera.source_id}/{self.label}-{self.number}.mp4"

    def film(self, num_frames: int = NUM_FRAMES, size: tuple[int, int] = SIZE) -> Frames:
        """Render it: frames (T, H, W, 3), uint8, RGB, of ``size`` height and width."""
        times_s = self.start_s + self.speed / FPS * np.arange(num_frames)
        people, root_T3 = figure(self.person, self.motion, times_s, self.heading)
        way_T3 = (root_T3 - root_T3[num_frames // 2]) * array([1, 0, 1])
        to_spot_3 = array([self.spot[0], 0, self.spot[1]]) - root_T3[num_frames // 2] * array([1, 0, 1])
        return render(
            self.camera.view,
            self.camera.room,
            self.camera.light,
            people.moved(to_spot_3),
            self.camera.follow * _steadied(way_T3),
            size,
            np.random.default_rng(self.key),
        )


def draw_take(camera: Camera, label: str, number: int, look: Look, batch: int, key: tuple[int, ...]) -> Take:
    """Clip ``number`` of an action in a batch; ``key`` seeds, with all of these, what is random about it."""
    key = (*key, batch, zlib.crc32(label.encode()), number)
    rng = np.random.default_rng(key)
    recording = ACTIONS[label][rng.integers(len(ACTIONS[label]))]
    motion = load_motions()[recording.motion]
    speed = camera.speed * rng.uniform(0.92, 1.08)
    if recording.moment_s is None:
        start_s = rng.uniform(0.0, motion.duration_s)
    else:
        start_s = recording.moment_s - speed * rng.uniform(*_MOMENT_WITHIN_S)
    from_hour, to_hour = look.hours
    day = batch * _BATCH_DAYS + int(rng.integers(_BATCH_DAYS))
    second = int(rng.integers(from_hour * 3600, to_hour * 3600))
    return Take(
        camera,
        label,
        number,
        motion,
        start_s,
        speed,
        heading=rng.uniform(0, 2 * math.pi),
        spot=(rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)),
        person=camera.crowd[rng.integers(len(camera.crowd))],
        captured_at=_FIRST_DAY + timedelta(days=day, seconds=second),
        key=key,
    )


def _steadied(way_T3: Array) -> Array:
    """The way (T, 3) as a camera follows it: averaged over a second, so that single steps do not shake it."""
    reach = min(FPS // 2, (len(way_T3) - 1) // 2)
    before = 2 * way_T3[:1] - way_T3[reach:0:-1]
    after = 2 * way_T3[-1:] - way_T3[-2 : -reach - 2 : -1]
    longer = np.concatenate([before, way_T3, after])
    steadied_T3: Array = np.lib.stride_tricks.sliding_window_view(longer, 2 * reach + 1, axis=0).mean(axis=-1)
    return steadied_T3
