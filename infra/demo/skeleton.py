"""Recorded motions, and where they put the joints of a person of given proportions.

Shapes: T poses, J joints, 3 coordinates in metres with y up; a person at rest faces x and has the right hand at z.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from infra.demo.arrays import Array, array

_FILE = Path(__file__).parent / "motions" / "motions.npz"
_BLEND_S = 0.15


@dataclass(frozen=True)
class Motion:
    """One recorded take.

    Attributes:
        times_s: Time of each frame (T,), from 0.
        root_T3: Place of the pelvis.
        rotations_TJ4: Rotation of each recorded joint relative to its parent, as a quaternion wxyz.
        loops: Whether the end joins the beginning.
    """

    times_s: Array
    root_T3: Array
    rotations_TJ4: Array
    loops: bool

    @property
    def duration_s(self) -> float:
        """Time of the last frame."""
        return float(self.times_s[-1])

    def poses(self, times_s: Array) -> tuple[Array, Array]:
        """Root places (T, 3) and joint rotations (T, J, 4) at any times.

        A looping motion goes on by its net travel at every cycle; another holds its first and last pose.
        """
        if not self.loops:
            return self._between(np.clip(times_s, 0.0, self.duration_s))
        cycle_T, phase_T = np.divmod(times_s, self.duration_s)
        root_T3, rotations_TJ4 = self._between(phase_T)
        share_T = array(np.clip(1.0 - (self.duration_s - phase_T) / _BLEND_S, 0.0, 1.0))
        rotations_TJ4 = _mix(rotations_TJ4, self.rotations_TJ4[:1], share_T)
        travel_3 = (self.root_T3[-1] - self.root_T3[0]) * array([1, 0, 1])
        return root_T3 + array(cycle_T)[:, None] * travel_3, rotations_TJ4

    def _between(self, times_s: Array) -> tuple[Array, Array]:
        after_T = np.clip(np.searchsorted(self.times_s, times_s, side="right"), 1, len(self.times_s) - 1)
        before_T = after_T - 1
        gap_T = np.maximum(self.times_s[after_T] - self.times_s[before_T], 1e-6)
        share_T = array((times_s - self.times_s[before_T]) / gap_T)
        root_T3 = self.root_T3[before_T] + share_T[:, None] * (self.root_T3[after_T] - self.root_T3[before_T])
        return root_T3, _mix(self.rotations_TJ4[before_T], self.rotations_TJ4[after_T], share_T)


@lru_cache
def load_motions() -> dict[str, Motion]:
    """Every recorded take by name."""
    with np.load(_FILE, allow_pickle=False) as file:
        names = sorted(key.removesuffix(".loops") for key in file.files if key.endswith(".loops"))
        return {
            name: Motion(
                array(file[f"{name}.times_s"]),
                array(file[f"{name}.root"]),
                array(file[f"{name}.rotations"]),
                bool(file[f"{name}.loops"]),
            )
            for name in names
        }


@dataclass(frozen=True)
class Proportions:
    """How a person differs from the recorded one; 1 everywhere is the recorded one."""

    leg: float = 1.0
    arm: float = 1.0
    torso: float = 1.0
    girth: float = 1.0


# Joints that a motion records, each with its parent and its place in the parent's frame; then ends of the body that
# follow from them. The second letter of a limb's name is its side.
_RECORDED = (
    ("root", "", (0.0, 0.0, 0.0), ""),
    ("chest", "root", (0.0, 0.236, 0.0), "torso"),
    ("neck", "chest", (0.0, 0.224, 0.0), "torso"),
    ("right hip", "root", (0.0, 0.0, 0.085), "girth"),
    ("right knee", "right hip", (0.0, -0.4215, 0.0), "leg"),
    ("right ankle", "right knee", (0.0, -0.41, 0.0), "leg"),
    ("right shoulder", "chest", (-0.024, 0.2435, 0.183), "torso"),
    ("right elbow", "right shoulder", (0.0, -0.2748, 0.0), "arm"),
    ("left hip", "root", (0.0, 0.0, -0.085), "girth"),
    ("left knee", "left hip", (0.0, -0.4215, 0.0), "leg"),
    ("left ankle", "left knee", (0.0, -0.41, 0.0), "leg"),
    ("left shoulder", "chest", (-0.024, 0.2435, -0.183), "torso"),
    ("left elbow", "left shoulder", (0.0, -0.2748, 0.0), "arm"),
)
_ENDS = (
    ("throat", "neck", (0.0, 0.05, 0.0), ""),
    ("face", "neck", (0.02, 0.15, 0.0), ""),
    ("crown", "neck", (0.02, 0.21, 0.0), ""),
    ("nape", "neck", (-0.035, 0.17, 0.0), ""),
    ("right wrist", "right elbow", (0.0, -0.25, 0.0), "arm"),
    ("right fingers", "right elbow", (0.0, -0.34, 0.0), "arm"),
    ("left wrist", "left elbow", (0.0, -0.25, 0.0), "arm"),
    ("left fingers", "left elbow", (0.0, -0.34, 0.0), "arm"),
    ("right heel", "right ankle", (-0.035, -0.035, 0.0), ""),
    ("right toes", "right ankle", (0.15, -0.04, 0.0), ""),
    ("left heel", "left ankle", (-0.035, -0.035, 0.0), ""),
    ("left toes", "left ankle", (0.15, -0.04, 0.0), ""),
    ("right waist", "root", (0.0, 0.06, 0.055), "torso"),
    ("left waist", "root", (0.0, 0.06, -0.055), "torso"),
    ("right breast", "chest", (0.0, 0.15, 0.075), "torso"),
    ("left breast", "chest", (0.0, 0.15, -0.075), "torso"),
    ("right collar", "chest", (-0.01, 0.215, 0.13), "torso"),
    ("left collar", "chest", (-0.01, 0.215, -0.13), "torso"),
)


def place_joints(root_T3: Array, rotations_TJ4: Array, proportions: Proportions, heading: float) -> dict[str, Array]:
    """Where each joint and end of the body is (T, 3), the whole motion turned by ``heading`` radians about y."""
    turned_33 = _about_y(heading)
    scaled_T3 = root_T3 * array([1.0, proportions.leg, 1.0])
    places: dict[str, Array] = {"root": scaled_T3 @ turned_33.T}
    frames = {"root": turned_33 @ _matrices(rotations_TJ4[:, 0])}
    for index, (name, parent, offset, part) in enumerate((*_RECORDED[1:], *_ENDS), start=1):
        offset_3 = array(offset) * (getattr(proportions, part) if part else 1.0)
        places[name] = places[parent] + frames[parent] @ offset_3
        if index < len(_RECORDED):
            frames[name] = frames[parent] @ _matrices(rotations_TJ4[:, index])
    return places


def _mix(from_TJ4: Array, to_TJ4: Array, share_T: Array) -> Array:
    same_side = np.where((from_TJ4 * to_TJ4).sum(-1, keepdims=True) < 0, array(-1), array(1))
    mixed_TJ4 = from_TJ4 + share_T[:, None, None] * (to_TJ4 * same_side - from_TJ4)
    normalised: Array = mixed_TJ4 / np.linalg.norm(mixed_TJ4, axis=-1, keepdims=True)
    return normalised


def _matrices(quaternion_T4: Array) -> Array:
    w, x, y, z = quaternion_T4.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _about_y(angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    return array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
