"""The demonstration's world: cameras with places, crowds and habits of their own, and what happens before them.

Everything is drawn from generators keyed by what it belongs to (a camera, a clip), so that a clip is the same whatever
else is rendered, in whatever order.
"""

import math
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from infra.demo.looks import Look
from infra.demo.people import Colour, Person, draw_colour, draw_person, figure
from infra.demo.renderer import Box, Light, Room, Surface, View, render
from infra.demo.skeleton import Array, Motion, load_motions

CLIP_S = 2.0
FPS = 12
SIZE = (128, 128)
FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
NUM_DAYS = 20

# Label -> recorded takes. Two dances and two ways of getting up are one action each, as people would label them.
ACTIONS = {
    "backflip": ("backflip",),
    "cartwheel": ("cartwheel",),
    "crawl": ("crawl",),
    "dance": ("dance_a", "dance_b"),
    "get_up": ("getup_facedown", "getup_faceup"),
    "jump": ("jump",),
    "kick": ("kick",),
    "punch": ("punch",),
    "roll": ("roll",),
    "run": ("run",),
    "spin": ("spin",),
    "spin_kick": ("spinkick",),
    "walk": ("walk",),
}


@dataclass(frozen=True)
class Camera:
    """One camera, its place, and the people and habits there.

    Attributes:
        source_id: Its name.
        view: Where it stands when people are in the middle.
        room: What is around.
        light: Light, air and lens.
        crowd: People who come by.
        speed: How fast they are; 1 is as recorded.
        follow: Share of people's way that the camera moves along with.
    """

    source_id: str
    view: View
    room: Room
    light: Light
    crowd: tuple[Person, ...]
    speed: float
    follow: float


@dataclass(frozen=True)
class Take:
    """One clip of one action: what happens, and when.

    Attributes:
        camera: Who films.
        label: The action.
        number: Counts a camera's clips of this action, from 1.
        motion: The recorded take.
        start_s: Time of the motion at which the clip begins.
        speed: How fast the motion goes.
        heading: Where the person faces, in radians about y.
        spot: Where they are in the middle of the clip, x and z in metres.
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

    def film(self, num_frames: int = round(CLIP_S * FPS), size: tuple[int, int] = SIZE) -> np.ndarray:
        """Render it: frames (T, H, W, 3), uint8, RGB."""
        times_s = self.start_s + self.speed / FPS * np.arange(num_frames)
        people, root_T3 = figure(self.person, self.motion, times_s, self.heading)
        way_T3 = root_T3 * np.float32([1, 0, 1])
        middle_3 = np.float32([self.spot[0], 0, self.spot[1]]) - way_T3[num_frames // 2]
        path_T3 = np.float32(self.camera.follow) * _steadied(way_T3 - way_T3[num_frames // 2])
        return render(
            self.camera.view,
            self.camera.room,
            self.camera.light,
            people.moved(np.broadcast_to(middle_3, way_T3.shape)),
            path_T3,
            size,
            np.random.default_rng(self.key),
        )


def draw_camera(index: int, look: Look, seed: int) -> Camera:
    """Camera ``index`` (from 0) of the world ``seed``, as it is under a look."""
    rng = np.random.default_rng([seed, index])
    pitch = math.radians(rng.uniform(4, 24))
    extent = rng.uniform(2.3, 3.1)
    focal = rng.uniform(0.9, 1.8)
    azimuth = rng.uniform(0, 2 * math.pi)
    floor, wall = _draw_surfaces(rng)
    half_width = 0.0 if rng.random() < 0.3 else rng.uniform(6, 11)
    if not half_width:
        wall = replace(wall, rgb=_pale(wall.rgb), pattern_rgb=(0.35, 0.55, 0.85))
    light = Light(
        direction=_draw_direction(rng),
        rgb=tuple(rng.uniform(0.72, 1.05) * warmth for warmth in _warmth(rng)),  # type: ignore[arg-type]
        shadow=rng.uniform(0.3, 0.65),
        noise=rng.uniform(0.004, 0.016),
        vignette=rng.uniform(0.0, 0.25),
    )
    crowd = tuple(draw_person(rng) for _ in range(5))
    speed, follow = rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.0)
    boxes = _draw_boxes(rng, azimuth, rng.integers(1, 4), nearest=1.8)

    changes = np.random.default_rng([seed, index, 1])
    roll = math.radians(changes.uniform(0.4, 1.0) * look.roll_deg) * changes.choice([-1, 1])
    if look.pitch_deg:
        pitch = math.radians(changes.uniform(*look.pitch_deg))
    boxes += _draw_boxes(changes, azimuth, look.boxes, nearest=1.1)
    boxes += _draw_posts(changes, azimuth, extent * focal, look.boxes // 3)
    view = View((0.0, 0.86, 0.0), azimuth, pitch, extent * look.extent * focal, focal, roll)
    if look.floor_rgb:
        floor = replace(floor, rgb=look.floor_rgb, pattern_rgb=tuple(0.75 * part for part in look.floor_rgb))
    light = replace(
        light,
        rgb=tuple(part * share for part, share in zip(light.rgb, look.light_rgb, strict=True)),
        shadow=light.shadow * look.shadow,
        noise=light.noise + look.noise,
        vignette=max(light.vignette, look.vignette),
        haze=look.haze,
        blur=look.blur,
    )
    if look.shirt_rgb:
        crowd = tuple(_dressed(person, look.shirt_rgb) for person in crowd)
    return Camera(f"cam-{index + 1:02}", view, Room(half_width, floor, wall, boxes), light, crowd, speed * look.speed, follow)


def draw_take(camera: Camera, label: str, number: int, look: Look, key: tuple[int, ...]) -> Take:
    """Clip ``number`` of an action before a camera; ``key`` seeds what is random about it."""
    key = (*key, zlib.crc32(label.encode()), number)
    rng = np.random.default_rng(key)
    takes = ACTIONS[label]
    motion = load_motions()[takes[rng.integers(len(takes))]]
    speed = camera.speed * rng.uniform(0.92, 1.08)
    # What does not repeat is in view for the greater part of it.
    begin, end = (0.0, motion.duration_s) if motion.loops else (-0.3, max(motion.duration_s - 1.3 * speed, 0.0))
    first, last = look.hours
    seconds = rng.integers(first * 3600, last * 3600) + 86400 * rng.integers(NUM_DAYS)
    return Take(
        camera,
        label,
        number,
        motion,
        start_s=rng.uniform(begin, end),
        speed=speed,
        heading=rng.uniform(0, 2 * math.pi),
        spot=(rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2)),
        person=camera.crowd[rng.integers(len(camera.crowd))],
        captured_at=FIRST_DAY + timedelta(seconds=int(seconds)),
        key=key,
    )


def _steadied(way_T3: Array) -> Array:
    """The way a camera operator follows: without the shaking of single steps."""
    reach = min(FPS // 2, (len(way_T3) - 1) // 2)
    if not reach:
        return way_T3
    before = 2 * way_T3[:1] - way_T3[reach:0:-1]
    after = 2 * way_T3[-1:] - way_T3[-2 : -reach - 2 : -1]
    padded = np.concatenate([before, way_T3, after])
    return np.stack([padded[start : start + 2 * reach + 1].mean(axis=0) for start in range(len(way_T3))])


def _draw_surfaces(rng: np.random.Generator) -> tuple[Surface, Surface]:
    surfaces = []
    for value, periods in (((0.3, 0.85), (0.5, 1.4)), ((0.4, 0.95), (0.6, 2.5))):
        rgb = draw_colour(rng, value=value, saturation=(0.0, 0.45))
        change = rng.choice([rng.uniform(0.55, 0.85), rng.uniform(1.15, 1.4)])
        surfaces.append(
            Surface(
                rgb,
                tuple(min(part * change, 1.0) for part in rgb),  # type: ignore[arg-type]
                str(rng.choice(["grid", "checks", "stripes", "plain"], p=[0.4, 0.25, 0.25, 0.1])),
                rng.uniform(*periods),
            )
        )
    return surfaces[0], surfaces[1]


def _draw_direction(rng: np.random.Generator) -> tuple[float, float, float]:
    angle, height = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(35, 75))
    return math.cos(angle) * math.cos(height), math.sin(height), math.sin(angle) * math.cos(height)


def _warmth(rng: np.random.Generator) -> Colour:
    warm = rng.uniform(-1, 1)
    return 1.0 + 0.1 * warm, 1.0, 1.0 - 0.14 * warm


def _pale(rgb: Colour) -> Colour:
    red, green, blue = (0.6 + 0.4 * part for part in rgb)
    return red, green, blue


def _draw_boxes(rng: np.random.Generator, azimuth: float, count: int, nearest: float) -> tuple[Box, ...]:
    """Boxes behind and beside the people, seen from the camera."""
    boxes = []
    for _ in range(count):
        angle, away = azimuth + math.pi + rng.uniform(-1.3, 1.3), rng.uniform(nearest, 4.5)
        width, height, depth = rng.uniform(0.2, 0.9), rng.uniform(0.3, 1.9), rng.uniform(0.2, 0.9)
        x, z = (away + width / 2) * math.cos(angle), (away + depth / 2) * math.sin(angle)
        rgb = draw_colour(rng, value=(0.25, 0.9), saturation=(0.0, 0.8))
        boxes.append(Box((x - width / 2, 0.0, z - depth / 2), (x + width / 2, height, z + depth / 2), rgb))
    return tuple(boxes)


def _draw_posts(rng: np.random.Generator, azimuth: float, distance: float, count: int) -> tuple[Box, ...]:
    """Posts and low barriers between camera and people."""
    posts = []
    for _ in range(count):
        away, aside = rng.uniform(0.3, 0.6) * distance, rng.uniform(-0.5, 0.5)
        x = away * math.cos(azimuth) - aside * math.sin(azimuth)
        z = away * math.sin(azimuth) + aside * math.cos(azimuth)
        half, height = rng.uniform(0.04, 0.1), rng.uniform(0.6, 2.4)
        rgb = draw_colour(rng, value=(0.2, 0.9), saturation=(0.0, 0.8))
        posts.append(Box((x - half, 0.0, z - half), (x + half, height, z + half), rgb))
    return tuple(posts)


def _dressed(person: Person, rgb: Colour) -> Person:
    outfit = replace(person.outfit, shirt=rgb, sleeves=rgb, trousers=rgb, shins=rgb)
    return replace(person, outfit=outfit)
