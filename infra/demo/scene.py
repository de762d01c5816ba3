"""What there is to see, apart from people: a camera's view, a room or the open air, and light.

World coordinates are metres with y up.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from infra.demo.arrays import Array, array
from infra.demo.people import Colour

Pattern = Literal["plain", "grid", "checks", "stripes"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
Point = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """Where a camera stands and how it looks at the point in the middle of its picture.

    Attributes:
        target: The point in the middle of the picture, in metres.
        azimuth: Direction from the target to the camera about y, in radians.
        pitch: How far the camera looks down, in radians.
        distance: From the target, in metres.
        focal: Focal length as a multiple of the picture's height.
        roll: How far the camera is tilted sideways, in radians.
    """

    target: Point
    azimuth: float
    pitch: float
    distance: float
    focal: float
    roll: float = 0.0

    @cached_property
    def axes_33(self) -> Array:
        """Right, down and forward of the camera in world coordinates, one a row."""
        forward = -np.array(
            [
                np.cos(self.pitch) * np.cos(self.azimuth),
                np.sin(self.pitch),
                np.cos(self.pitch) * np.sin(self.azimuth),
            ]
        )
        level = np.array([-forward[2], 0.0, forward[0]]) / np.hypot(forward[0], forward[2])
        right = np.cos(self.roll) * level + np.sin(self.roll) * np.cross(forward, level)
        return array([right, np.cross(forward, right), forward])

    @cached_property
    def place_3(self) -> Array:
        """Where the camera is, in metres."""
        place_3: Array = array(self.target) - self.distance * self.axes_33[2]
        return place_3


@dataclass(frozen=True)
class Surface:
    """What a floor or a wall looks like.

    Attributes:
        rgb: Its colour.
        pattern_rgb: Colour of the pattern on it.
        pattern: Which pattern.
        period: Size of the pattern in metres.
    """

    rgb: Colour
    pattern_rgb: Colour
    pattern: Pattern
    period: float


@dataclass(frozen=True)
class Box:
    """A box with its faces along the axes: its lowest and highest corner, and its colour."""

    low: Point
    high: Point
    rgb: Colour


@dataclass(frozen=True)
class Room:
    """The surroundings.

    Attributes:
        half_width: Distance of the four walls from the middle, in metres; 0 for the open air.
        floor: The floor.
        wall: The walls; in the open air the sky, from the horizon's colour up to the pattern's.
        boxes: What stands about.
    """

    half_width: float
    floor: Surface
    wall: Surface
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Light:
    """The light, and what air, lens and sensor do to it.

    Attributes:
        direction: Towards the lamp or the sun: a vector of length 1 that points up.
        rgb: Colour and strength.
        shadow: How dark shadows are, from 0 to 1.
        haze: Share of light lost over 5 m.
        haze_rgb: The haze's colour.
        blur: Radius of the lens's blur as a share of the picture's height.
        vignette: How dark the corners are, from 0 to 1.
        noise: Standard deviation of the sensor's noise, where the full range is 1.
    """

    direction: Point
    rgb: Colour
    shadow: float = 0.5
    haze: float = 0.0
    haze_rgb: Colour = (0.8, 0.82, 0.85)
    blur: float = 0.0
    vignette: float = 0.0
    noise: float = 0.0
