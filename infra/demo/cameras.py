"""The cameras of the demonstration's world, each with a place, light, surroundings, people and habits of its own."""

import math
from dataclasses import dataclass, replace

import numpy as np

from infra.demo.looks import Look
from infra.demo.people import Colour, Person, draw_colour, draw_person
from infra.demo.scene import PATTERNS, Box, Light, Point, Room, Surface, View

_EYE_M = 0.86
_CROWD = 5


@dataclass(frozen=True)
class Camera:
    """One camera and what is usual before it.

    Attributes:
        source_id: Its name.
        view: Where it stands when people are in the middle.
        room: What is around.
        light: Light, air, lens and sensor.
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


def draw_camera(index: int, look: Look, seed: int) -> Camera:
    """Camera ``index`` (from 0) of the world ``seed``, as it is under a look.

    What a look adds is drawn from a generator of its own, so that it leaves everything else as it is.
    """
    rng = np.random.default_rng([seed, index])
    pitch = math.radians(rng.uniform(3, 17))
    extent = rng.uniform(1.95, 2.4)
    focal = rng.uniform(0.9, 1.8)
    azimuth = rng.uniform(0, 2 * math.pi)
    room = _draw_room(rng, azimuth)
    light = _draw_light(rng)
    crowd = tuple(draw_person(rng) for _ in range(_CROWD))
    speed = rng.uniform(0.85, 1.2)
    follow = rng.uniform(0.8, 1.0)

    changes = np.random.default_rng([seed, index, 1])
    roll = math.radians(look.roll_deg) * changes.uniform(0.4, 1.0) * changes.choice([-1, 1])
    if look.pitch_deg:
        pitch = math.radians(changes.uniform(*look.pitch_deg))
    distance = focal * extent * look.extent
    return Camera(
        source_id=f"cam-{index + 1:02}",
        view=View((0.0, _EYE_M, 0.0), azimuth, pitch, distance, focal, roll),
        room=_changed_room(room, look, changes, azimuth, distance),
        light=_changed_light(light, look),
        crowd=tuple(_dressed(person, look.clothes_rgb) for person in crowd) if look.clothes_rgb else crowd,
        speed=speed * look.speed,
        follow=follow,
    )


def _draw_room(rng: np.random.Generator, azimuth: float) -> Room:
    floor = _draw_surface(rng, value=(0.5, 0.95), period=(0.5, 1.4))
    wall = _draw_surface(rng, value=(0.6, 0.95), period=(0.6, 2.5))
    half_width = rng.uniform(6, 11)
    if rng.random() < 0.3:
        red, green, blue = (0.6 + 0.4 * part for part in wall.rgb)
        half_width, wall = 0.0, replace(wall, rgb=(red, green, blue), pattern_rgb=(0.35, 0.55, 0.85))
    return Room(half_width, floor, wall, _draw_boxes(rng, azimuth, int(rng.integers(0, 3)), nearest=2.4))


def _draw_surface(rng: np.random.Generator, value: tuple[float, float], period: tuple[float, float]) -> Surface:
    rgb = draw_colour(rng, value=value, saturation=(0.0, 0.45))
    contrast = rng.uniform(0.78, 0.93) if rng.random() < 0.5 else rng.uniform(1.06, 1.16)
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=[0.1, 0.4, 0.25, 0.25])]
    return Surface(rgb, _times(rgb, contrast), pattern, rng.uniform(*period))


def _draw_light(rng: np.random.Generator) -> Light:
    angle, height = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(35, 75))
    strength, warmth = rng.uniform(0.9, 1.1), rng.uniform(-1, 1)
    return Light(
        direction=(math.cos(angle) * math.cos(height), math.sin(height), math.sin(angle) * math.cos(height)),
        rgb=(strength * (1 + 0.1 * warmth), strength, strength * (1 - 0.14 * warmth)),
        shadow=rng.uniform(0.3, 0.65),
        noise=rng.uniform(0.003, 0.01),
        vignette=rng.uniform(0.0, 0.25),
    )


def _draw_boxes(rng: np.random.Generator, azimuth: float, count: int, nearest: float) -> tuple[Box, ...]:
    """Boxes behind and beside people, seen from the camera."""
    boxes = []
    for _ in range(count):
        angle, away = azimuth + math.pi + rng.uniform(-1.3, 1.3), rng.uniform(nearest, 4.5)
        half_x, height, half_z = rng.uniform(0.1, 0.45), rng.uniform(0.3, 1.9), rng.uniform(0.1, 0.45)
        rgb = draw_colour(rng, value=(0.25, 0.9), saturation=(0.0, 0.8))
        boxes.append(_box(away * math.cos(angle), away * math.sin(angle), half_x, height, half_z, rgb))
    return tuple(boxes)


def _draw_posts(rng: np.random.Generator, azimuth: float, distance: float, count: int) -> tuple[Box, ...]:
    """Posts between camera and people."""
    posts = []
    for _ in range(count):
        away, aside = rng.uniform(0.3, 0.6) * distance, rng.uniform(-0.5, 0.5)
        x = away * math.cos(azimuth) - aside * math.sin(azimuth)
        z = away * math.sin(azimuth) + aside * math.cos(azimuth)
        half, height = rng.uniform(0.03, 0.08), rng.uniform(0.5, 2.2)
        posts.append(_box(x, z, half, height, half, draw_colour(rng, value=(0.2, 0.9), saturation=(0.0, 0.8))))
    return tuple(posts)


def _box(x: float, z: float, half_x: float, height: float, half_z: float, rgb: Colour) -> Box:
    low: Point = (x - half_x, 0.0, z - half_z)
    return Box(low, (x + half_x, height, z + half_z), rgb)


def _changed_room(room: Room, look: Look, rng: np.random.Generator, azimuth: float, distance: float) -> Room:
    more = _draw_boxes(rng, azimuth, look.boxes, nearest=1.4) + _draw_posts(rng, azimuth, distance, look.posts)
    floor = room.floor
    if look.floor_rgb:
        floor = replace(floor, rgb=look.floor_rgb, pattern_rgb=_times(look.floor_rgb, 0.75))
    return replace(room, floor=floor, boxes=room.boxes + more)


def _changed_light(light: Light, look: Look) -> Light:
    red, green, blue = (part * share for part, share in zip(light.rgb, look.light_rgb, strict=True))
    return replace(
        light,
        rgb=(red, green, blue),
        shadow=light.shadow * look.shadow,
        noise=light.noise + look.noise,
        vignette=max(light.vignette, look.vignette),
        haze=look.haze,
        blur=look.blur,
    )


def _dressed(person: Person, rgb: Colour) -> Person:
    return replace(person, outfit=replace(person.outfit, shirt=rgb, sleeves=rgb, trousers=rgb, shins=rgb))


def _times(rgb: Colour, factor: float) -> Colour:
    red, green, blue = (min(part * factor, 1.0) for part in rgb)
    return red, green, blue
