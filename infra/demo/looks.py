"""Named looks of the world: what changes in front of, around or inside the cameras."""

from dataclasses import dataclass

from infra.demo.people import Colour
from models.errors import UserError


@dataclass(frozen=True)
class Look:
    """A change of the world, the same for all cameras. The defaults change nothing.

    Attributes:
        hours: When clips are captured, in hours UTC; beyond 24 is the next day.
        light_rgb: What the light is multiplied with.
        shadow: What the darkness of shadows is multiplied with.
        noise: Added to the sensor's noise.
        vignette: How dark the corners are at least, from 0 to 1.
        pitch_deg: How far cameras look down, from and to; None leaves each as it is.
        roll_deg: How far cameras hang askew, at most.
        extent: What the size of the view is multiplied with.
        speed: What the speed of people is multiplied with.
        boxes: Boxes that stand about in addition.
        posts: Posts between camera and people.
        floor_rgb: The colour of every floor; None leaves each as it is.
        clothes_rgb: The colour of everybody's clothes; None leaves each as it is.
        haze: Share of light lost over 5 m.
        blur: Radius of the lens's blur as a share of the picture's height.
    """

    hours: tuple[int, int] = (8, 19)
    light_rgb: Colour = (1.0, 1.0, 1.0)
    shadow: float = 1.0
    noise: float = 0.0
    vignette: float = 0.0
    pitch_deg: tuple[float, float] | None = None
    roll_deg: float = 0.0
    extent: float = 1.0
    speed: float = 1.0
    boxes: int = 0
    posts: int = 0
    floor_rgb: Colour | None = None
    clothes_rgb: Colour | None = None
    haze: float = 0.0
    blur: float = 0.0


LOOKS = {
    "base": Look(),
    "night": Look(hours=(20, 29), light_rgb=(0.24, 0.28, 0.4), shadow=0.3, noise=0.03, vignette=0.5),
    "high_camera": Look(pitch_deg=(48, 62)),
    "far": Look(extent=2.3),
    "slow": Look(speed=0.5),
    "clutter": Look(boxes=9, posts=3),
    "red_floor": Look(floor_rgb=(0.75, 0.14, 0.1)),
    "fog": Look(hours=(5, 9), haze=0.72, shadow=0.2),
    "uniform": Look(clothes_rgb=(0.95, 0.5, 0.08)),
    "askew": Look(roll_deg=28),
    "blurred": Look(blur=0.016),
}


def look_named(name: str) -> Look:
    """One of the named looks.

    Raises:
        UserError: There is no such look.
    """
    if name not in LOOKS:
        raise UserError(f"--look {name}: there is no such look; choose one of {', '.join(LOOKS)}")
    return LOOKS[name]
