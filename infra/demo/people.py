"""The people of the demonstration's world: proportions, clothes, and the tapered capsules they are drawn with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from infra.demo.arrays import Array, array
from infra.demo.skeleton import Motion, Proportions, place_joints

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Outfit:
    """Colours of a person, each red, green and blue from 0 to 1."""

    skin: Colour
    hair: Colour
    shirt: Colour
    sleeves: Colour
    trousers: Colour
    shins: Colour
    shoes: Colour


@dataclass(frozen=True)
class Person:
    """Somebody of a camera's crowd."""

    proportions: Proportions
    outfit: Outfit


class Capsules(NamedTuple):
    """Tapered capsules, each from a ball at ``start`` to a ball at ``end``.

    Attributes:
        start_TN3: Centre of the first ball at each of T moments, in metres.
        end_TN3: Centre of the second.
        radius_N2: Radii of both, in metres.
        rgb_N3: Colours from 0 to 1.
    """

    start_TN3: Array
    end_TN3: Array
    radius_N2: Array
    rgb_N3: Array

    def each(self, order: Iterable[int] | None = None) -> Iterator[tuple[Array, Array, Array, Array]]:
        """Start (T, 3), end (T, 3), radii (2,) and colour (3,) of one capsule after another."""
        for index in range(len(self.rgb_N3)) if order is None else order:
            yield self.start_TN3[:, index], self.end_TN3[:, index], self.radius_N2[index], self.rgb_N3[index]

    def moved(self, by_3: Array) -> "Capsules":
        """The same capsules, displaced."""
        return self._replace(start_TN3=self.start_TN3 + by_3, end_TN3=self.end_TN3 + by_3)


# From joint, to joint, radius at each in metres, garment.
_BODY = (
    ("right hip", "right waist", 0.098, 0.09, "trousers"),
    ("left hip", "left waist", 0.098, 0.09, "trousers"),
    ("right waist", "right breast", 0.088, 0.1, "shirt"),
    ("left waist", "left breast", 0.088, 0.1, "shirt"),
    ("right collar", "left collar", 0.07, 0.07, "shirt"),
    ("neck", "throat", 0.055, 0.05, "skin"),
    ("face", "crown", 0.088, 0.085, "skin"),
    ("nape", "crown", 0.085, 0.09, "hair"),
    ("right shoulder", "right elbow", 0.06, 0.043, "sleeves"),
    ("left shoulder", "left elbow", 0.06, 0.043, "sleeves"),
    ("right elbow", "right wrist", 0.042, 0.032, "skin"),
    ("left elbow", "left wrist", 0.042, 0.032, "skin"),
    ("right wrist", "right fingers", 0.038, 0.034, "skin"),
    ("left wrist", "left fingers", 0.038, 0.034, "skin"),
    ("right hip", "right knee", 0.088, 0.06, "trousers"),
    ("left hip", "left knee", 0.088, 0.06, "trousers"),
    ("right knee", "right ankle", 0.058, 0.042, "shins"),
    ("left knee", "left ankle", 0.058, 0.042, "shins"),
    ("right heel", "right toes", 0.045, 0.035, "shoes"),
    ("left heel", "left toes", 0.045, 0.035, "shoes"),
)


def figure(person: Person, motion: Motion, times_s: Array, heading: float) -> tuple[Capsules, Array]:
    """A person's body at ``times_s`` of a motion, facing ``heading`` radians about y.

    Returns:
        The capsules, and the path of the pelvis (T, 3) in metres.
    """
    places = place_joints(*motion.poses(times_s), person.proportions, heading)
    start_TN3 = np.stack([places[start] for start, *_ in _BODY], axis=1)
    end_TN3 = np.stack([places[end] for _, end, *_ in _BODY], axis=1)
    girth_N1 = array([[1.0 if garment in ("skin", "hair") else person.proportions.girth] for *_, garment in _BODY])
    radius_N2 = array([radii for _, _, *radii, _ in _BODY]) * girth_N1
    rgb_N3 = array([getattr(person.outfit, garment) for *_, garment in _BODY])
    return Capsules(start_TN3, end_TN3, radius_N2, rgb_N3), places["root"]


_SKINS = ((0.96, 0.80, 0.69), (0.87, 0.67, 0.53), (0.74, 0.54, 0.40), (0.55, 0.38, 0.27), (0.38, 0.26, 0.19))
_HAIRS = ((0.10, 0.08, 0.07), (0.24, 0.15, 0.09), (0.45, 0.29, 0.15), (0.78, 0.62, 0.36), (0.62, 0.61, 0.60))


def draw_person(rng: np.random.Generator) -> Person:
    """Somebody with random proportions and clothes."""
    height = rng.uniform(0.9, 1.08)
    proportions = Proportions(
        leg=height * rng.uniform(0.96, 1.04),
        arm=height * rng.uniform(0.95, 1.05),
        torso=height * rng.uniform(0.96, 1.04),
        girth=rng.uniform(0.9, 1.3),
    )
    skin = _SKINS[rng.integers(len(_SKINS))]
    shirt, trousers = draw_colour(rng, value=(0.25, 1.0)), draw_colour(rng, value=(0.12, 0.75), saturation=(0.0, 0.6))
    outfit = Outfit(
        skin=skin,
        hair=_HAIRS[rng.integers(len(_HAIRS))],
        shirt=shirt,
        sleeves=shirt if rng.random() < 0.75 else skin,
        trousers=trousers,
        shins=trousers if rng.random() < 0.75 else skin,
        shoes=draw_colour(rng, value=(0.1, 0.95), saturation=(0.0, 0.3)),
    )
    return Person(proportions, outfit)


def draw_colour(
    rng: np.random.Generator, *, value: tuple[float, float], saturation: tuple[float, float] = (0.1, 0.9)
) -> Colour:
    """A random colour of any hue."""
    hue, strength, brightness = rng.uniform(0.0, 1.0), rng.uniform(*saturation), rng.uniform(*value)
    red, green, blue = (
        brightness * (1.0 - strength * min(max(abs((hue * 6.0 + shift) % 6.0 - 3.0) - 1.0, 0.0), 1.0))
        for shift in (0.0, 4.0, 2.0)
    )
    return red, green, blue
