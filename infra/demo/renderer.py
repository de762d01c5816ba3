"""From a scene to frames: floor, walls or sky, boxes, shadows, and people drawn as tapered capsules.

Surroundings are found by a ray through each pixel. Capsules are drawn as outlines on the picture, shaded like round
bodies and tested against a buffer of depths: one capsule at all moments of a clip at once, which is what makes it fast
in numpy. Distances along rays are depths: a ray's part along the camera's forward axis is 1.

Shapes: T moments, H rows, W columns, R x C a patch's rows and columns, N capsules. World coordinates are metres with y
up; camera coordinates are right, down, forward.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.demo.arrays import Array, Frames, array
from infra.demo.lens import develop
from infra.demo.people import Capsules
from infra.demo.scene import Box, Light, Room, Surface, View

_HORIZON_M = 60.0
_NEAREST_M = 0.2
_NOWHERE_PX = -1e6
_AMBIENT = 0.5
_SHADOW_EDGE_M = 0.06


def render(
    view: View,
    room: Room,
    light: Light,
    people: Capsules,
    path_T3: Array,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Frames:
    """Film people.

    Args:
        view: The camera at rest.
        room: The surroundings.
        light: Light, air, lens and sensor.
        people: Their bodies at each moment.
        path_T3: How the camera is displaced at each moment, in metres.
        size: Height and width in pixels.
        rng: Of the sensor's noise.

    Returns:
        Frames (T, H, W, 3), uint8, RGB.
    """
    canvas = _Canvas(view, path_T3, size)
    canvas.paint_room(room, light)
    canvas.cast_shadows(people, light)
    for box in room.boxes:
        canvas.paint_box(box, light)
    canvas.paint_capsules(people, light)
    return develop(canvas.rgb_THW3, canvas.depth_THW, light, rng)


class _Patch(NamedTuple):
    """A rectangle of pixels in each frame, all of one size, as indices that broadcast to (T, R, C)."""

    frame_T11: NDArray[np.int64]
    row_TR1: NDArray[np.int64]
    column_T1C: NDArray[np.int64]


class _Outline(NamedTuple):
    """The two balls of a capsule on the picture at each moment."""

    depth_T2: Array
    across_T2: Array
    down_T2: Array
    radius_T2: Array


class _Canvas:
    """Colours and depths of all pixels of all frames while they are painted."""

    def __init__(self, view: View, path_T3: Array, size: tuple[int, int]) -> None:
        height, width = size
        self.axes_33 = view.axes_33
        self.place_T3 = view.place_3 + path_T3
        self.focal = view.focal * height
        self.middle = (width / 2, height / 2)
        across_W1 = (array(np.arange(width))[:, None] + 0.5 - self.middle[0]) / self.focal
        down_H11 = (array(np.arange(height))[:, None, None] + 0.5 - self.middle[1]) / self.focal
        right, down, forward = self.axes_33
        self.ray_HW3 = across_W1 * right + down_H11 * down + forward
        self.ray_HW3[np.abs(self.ray_HW3) < 1e-6] = 1e-6
        self.rgb_THW3 = np.empty((len(path_T3), height, width, 3), np.float32)
        self.depth_THW = np.empty((len(path_T3), height, width), np.float32)

    def paint_room(self, room: Room, light: Light) -> None:
        """Fill everything with floor and walls, or sky."""
        lit_floor = _lit(array(light.direction[1]))
        x_HW, y_HW, z_HW = np.moveaxis(self.ray_HW3, -1, 0).copy()
        slant_HW = 1 / (np.maximum(np.abs(y_HW), 0.05) * self.focal)
        to_floor_HW = np.where(y_HW < 0, -1 / y_HW, np.inf)
        # A frame at a time, since its arrays stay in the processor's cache.
        for rgb_HW3, depth_HW, (x, y, z) in zip(self.rgb_THW3, self.depth_THW, self.place_T3, strict=True):
            wall_x_HW = _to_wall(x, x_HW, room.half_width or _HORIZON_M)
            wall_z_HW = _to_wall(z, z_HW, room.half_width or _HORIZON_M)
            floor_HW = y * to_floor_HW
            np.minimum(np.minimum(wall_x_HW, wall_z_HW), floor_HW, out=depth_HW)
            at_x_HW, at_y_HW, at_z_HW = x + depth_HW * x_HW, y + depth_HW * y_HW, z + depth_HW * z_HW
            if room.half_width:
                is_x_HW = wall_x_HW < wall_z_HW
                share_HW = _pattern(room.wall, np.where(is_x_HW, at_z_HW, at_x_HW), at_y_HW, depth_HW / self.focal)
                rgb_HW3[:] = np.where(is_x_HW, array(1), array(0.88))[..., None] * _mixed(room.wall, share_HW)
            else:
                rgb_HW3[:] = _mixed(room.wall, np.clip(at_y_HW / (0.6 * _HORIZON_M), 0, 1))
            share_HW = _pattern(room.floor, at_x_HW, at_z_HW, depth_HW * slant_HW)
            np.copyto(rgb_HW3, lit_floor * _mixed(room.floor, share_HW), where=(depth_HW == floor_HW)[..., None])

    def cast_shadows(self, people: Capsules, light: Light) -> None:
        """Darken the floor where people stand in the light's way."""
        slope_3 = array(light.direction) / array(light.direction[1])
        lit_THW = np.ones_like(self.depth_THW)
        for start_T3, end_T3, radius_2, _ in people.each():
            ends_T23 = np.stack([start_T3, end_T3], axis=1)
            ends_T23 = ends_T23 - np.maximum(ends_T23[..., 1:2], 0) * slope_3
            ends_T23[..., 1] = 0
            patch = self._patch(self._outline(ends_T23, radius_2))
            if patch is None:
                continue
            place_T113 = self.place_T3[:, None, None]
            ray_TRC3 = self.ray_HW3[patch[1:]]
            depth_TRC = self.depth_THW[patch]
            x_TRC, y_TRC, z_TRC = (place_T113[..., axis] + depth_TRC * ray_TRC3[..., axis] for axis in range(3))
            away_TRC, share_TRC = _to_segment(x_TRC, z_TRC, ends_T23[..., 0], ends_T23[..., 2])
            reach_TRC = radius_2[0] + share_TRC * (radius_2[1] - radius_2[0]) - away_TRC
            cover_TRC = np.clip(reach_TRC / _SHADOW_EDGE_M + 0.5, 0, 1) * (y_TRC < 0.01)
            lit_THW[patch] = np.minimum(lit_THW[patch], 1 - light.shadow * cover_TRC)
        for rgb_HW3, lit_HW in zip(self.rgb_THW3, lit_THW, strict=True):
            rgb_HW3 *= lit_HW[..., None]

    def paint_box(self, box: Box, light: Light) -> None:
        """Paint a box where it is nearer than what is there (slab method, Kay and Kajiya 1986)."""
        corners_83 = np.stack(np.meshgrid(*zip(box.low, box.high, strict=True)), axis=-1).reshape(8, 3)
        depth_T8, across_T8, down_T8 = self._project(array(corners_83) - self.place_T3[:, None])
        if depth_T8.min() <= _NEAREST_M:
            return
        rows = slice(max(int(down_T8.min()) - 1, 0), max(int(down_T8.max()) + 2, 0))
        columns = slice(max(int(across_T8.min()) - 1, 0), max(int(across_T8.max()) + 2, 0))
        entry_THW, exit_THW, lit_THW = array(0), array(np.inf), array(0)
        for axis in range(3):
            ray_HW = self.ray_HW3[rows, columns, axis]
            place_T11 = self.place_T3[:, axis, None, None]
            to_low_THW = (box.low[axis] - place_T11) / ray_HW
            to_high_THW = (box.high[axis] - place_T11) / ray_HW
            near_THW = np.minimum(to_low_THW, to_high_THW)
            lit_HW = _lit(-np.sign(ray_HW) * light.direction[axis])
            lit_THW = np.where(near_THW > entry_THW, lit_HW, lit_THW)
            entry_THW = np.maximum(entry_THW, near_THW)
            exit_THW = np.minimum(exit_THW, np.maximum(to_low_THW, to_high_THW))
        depth_THW = self.depth_THW[:, rows, columns]
        seen_THW = (entry_THW < exit_THW) & (entry_THW < depth_THW)
        np.copyto(depth_THW, entry_THW, where=seen_THW)
        np.copyto(self.rgb_THW3[:, rows, columns], lit_THW[..., None] * array(box.rgb), where=seen_THW[..., None])

    def paint_capsules(self, people: Capsules, light: Light) -> None:
        """Paint people, the farthest parts first, with smooth edges."""
        towards_lamp_3 = self.axes_33 @ array(light.direction)
        middle_TN3 = (people.start_TN3 + people.end_TN3) / 2 - self.place_T3[:, None]
        farthest_first_N = np.argsort(-(middle_TN3 @ self.axes_33[2]).mean(axis=0), kind="stable")
        for start_T3, end_T3, radius_2, rgb_3 in people.each(farthest_first_N):
            outline = self._outline(np.stack([start_T3, end_T3], axis=1), radius_2)
            patch = self._patch(outline)
            if patch is not None:
                self._paint_capsule(patch, outline, radius_2, rgb_3, towards_lamp_3)

    def _paint_capsule(
        self, patch: _Patch, outline: _Outline, radius_2: Array, rgb_3: Array, towards_lamp_3: Array
    ) -> None:
        x_T1C, y_TR1 = array(patch.column_T1C) + 0.5, array(patch.row_TR1) + 0.5
        away_TRC, share_TRC = _to_segment(x_T1C, y_TR1, outline.across_T2, outline.down_T2)
        radius_TRC = _between(outline.radius_T2, share_TRC)
        cover_TRC = np.clip(radius_TRC - away_TRC + 0.5, 0, 1)
        towards_TRC = np.sqrt(np.maximum(1 - (away_TRC / radius_TRC) ** 2, 0))
        thick_TRC = radius_2[0] + share_TRC * (radius_2[1] - radius_2[0])
        depth_TRC = _between(outline.depth_T2, share_TRC) - thick_TRC * towards_TRC
        # Normals of a round body: sideways where its outline is, towards the camera in the middle.
        right_TRC = (x_T1C - _between(outline.across_T2, share_TRC)) / radius_TRC
        down_TRC = (y_TR1 - _between(outline.down_T2, share_TRC)) / radius_TRC
        right, down, forward = towards_lamp_3
        lit_TRC = _lit(right * right_TRC + down * down_TRC - forward * towards_TRC)

        behind_TRC = self.depth_THW[patch]
        cover_TRC = cover_TRC * (depth_TRC < behind_TRC)
        under_TRC3 = self.rgb_THW3[patch]
        under_TRC3 += cover_TRC[..., None] * (lit_TRC[..., None] * rgb_3 - under_TRC3)
        self.rgb_THW3[patch] = under_TRC3
        self.depth_THW[patch] = np.where(cover_TRC > 0.5, depth_TRC, behind_TRC)

    def _outline(self, ends_T23: Array, radius_2: Array) -> _Outline:
        depth_T2, across_T2, down_T2 = self._project(ends_T23 - self.place_T3[:, None])
        across_T2[depth_T2.min(axis=1) <= _NEAREST_M] = _NOWHERE_PX
        return _Outline(depth_T2, across_T2, down_T2, radius_2 * self.focal / depth_T2)

    def _project(self, from_camera_TN3: Array) -> tuple[Array, Array, Array]:
        """Depth, column and row of points given relative to the camera's place."""
        right_TN, down_TN, depth_TN = np.moveaxis(from_camera_TN3 @ self.axes_33.T, -1, 0)
        depth_TN = np.maximum(depth_TN, _NEAREST_M)
        return (
            depth_TN,
            self.middle[0] + self.focal * right_TN / depth_TN,
            self.middle[1] + self.focal * down_TN / depth_TN,
        )

    def _patch(self, outline: _Outline) -> _Patch | None:
        """The pixels that a capsule may touch; None where it is out of the picture all the time."""
        margin_T2 = outline.radius_T2 + 1
        row_TR = _spans(outline.down_T2 - margin_T2, outline.down_T2 + margin_T2, self.depth_THW.shape[1])
        column_TC = _spans(outline.across_T2 - margin_T2, outline.across_T2 + margin_T2, self.depth_THW.shape[2])
        if not row_TR.size or not column_TC.size:
            return None
        return _Patch(np.arange(len(row_TR))[:, None, None], row_TR[:, :, None], column_TC[:, None, :])


def _spans(low_T2: Array, high_T2: Array, limit: int) -> NDArray[np.int64]:
    """Stretches of pixels, all as long as the longest, from the lower to the higher end at each moment."""
    low_T = np.clip(low_T2.min(axis=1), 0, limit).astype(np.int64)
    high_T = np.clip(high_T2.max(axis=1) + 1, 0, limit).astype(np.int64)
    extent = int((high_T - low_T).max())
    spans_TX: NDArray[np.int64] = np.minimum(low_T, limit - extent)[:, None] + np.arange(extent)
    return spans_TX


def _to_wall(place: float, ray_HW: Array, half_width: float) -> Array:
    """Distance along rays to whichever of the walls at ``half_width`` on both sides they lead to."""
    distance_HW: Array = (np.copysign(half_width, ray_HW) - place) / ray_HW
    distance_HW[distance_HW <= 0] = _HORIZON_M
    return distance_HW


def _to_segment(x_TRC: Array, y_TRC: Array, x_T2: Array, y_T2: Array) -> tuple[Array, Array]:
    """Distance of points on a plane from a segment, and where along it they are nearest, from 0 to 1."""
    start_x, start_y = x_T2[:, 0, None, None], y_T2[:, 0, None, None]
    along_x, along_y = x_T2[:, 1, None, None] - start_x, y_T2[:, 1, None, None] - start_y
    length2 = np.maximum(along_x * along_x + along_y * along_y, 1e-6)
    x_TRC, y_TRC = x_TRC - start_x, y_TRC - start_y
    share_TRC = np.clip(x_TRC * (along_x / length2) + y_TRC * (along_y / length2), 0, 1)
    return np.hypot(x_TRC - share_TRC * along_x, y_TRC - share_TRC * along_y), share_TRC


def _between(ends_T2: Array, share_TRC: Array) -> Array:
    mixed_TRC: Array = ends_T2[:, 0, None, None] + share_TRC * (ends_T2[:, 1] - ends_T2[:, 0])[:, None, None]
    return mixed_TRC


def _lit(facing: Array) -> Array:
    """How bright a surface is whose normal has this cosine to the direction of the light."""
    lit: Array = _AMBIENT + (1 - _AMBIENT) * np.clip(facing, 0, 1)
    return lit


def _mixed(surface: Surface, share_HW: Array) -> Array:
    rgb_3, pattern_3 = array(surface.rgb), array(surface.pattern_rgb)
    mixed_HW3: Array = rgb_3 + share_HW[..., None] * (pattern_3 - rgb_3)
    return mixed_HW3


def _pattern(surface: Surface, x_HW: Array, y_HW: Array, pixel_HW: Array) -> Array:
    """Share of the pattern's colour at points of a surface, smoothed over ``pixel_HW`` metres.

    Where a pixel sees half a period or more, the pattern fades to its mean instead of flickering.
    """
    if surface.pattern == "plain":
        return np.zeros_like(x_HW)
    edge_HW = np.maximum(pixel_HW / surface.period, 1e-3)
    x_HW, y_HW = _from_middle(x_HW / surface.period), _from_middle(y_HW / surface.period)
    if surface.pattern == "grid":
        mean, sharp_HW = 0.15, _step(np.maximum(x_HW, y_HW) - 0.46, edge_HW)
    elif surface.pattern == "stripes":
        mean, sharp_HW = 0.5, _step(x_HW - 0.25, edge_HW)
    else:
        x_HW, y_HW = _step(x_HW - 0.25, edge_HW), _step(y_HW - 0.25, edge_HW)
        mean, sharp_HW = 0.5, x_HW + y_HW - 2 * x_HW * y_HW
    share_HW: Array = mean + np.clip(1.2 - 1.5 * edge_HW, 0, 1) * (sharp_HW - mean)
    return share_HW


def _from_middle(value_HW: Array) -> Array:
    """Distance from the middle between the whole numbers on both sides: 0 there, 0.5 at the whole numbers."""
    distance_HW: Array = np.abs(value_HW - np.floor(value_HW) - 0.5)
    return distance_HW


def _step(value_HW: Array, edge_HW: Array) -> Array:
    step_HW: Array = np.clip(value_HW / edge_HW + 0.5, 0, 1)
    return step_HW
