"""From a scene to pixels: a floor, walls, boxes and tapered capsules, with light, shadow and a lens.

A ray through each pixel finds the surroundings. Capsules are drawn as their outlines on the image with the normals of
round bodies, against a depth buffer, all moments of a clip at once: that is what makes it fast in numpy.

Shapes: T moments, H rows, W columns. World coordinates are metres with y up; camera coordinates are right, down and
forward.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.demo.people import Capsules, Colour
from infra.demo.skeleton import Array

Frames = NDArray[np.uint8]

_FAR_M = 60.0
_AMBIENT = 0.5


@dataclass(frozen=True)
class View:
    """Where a camera stands and how it looks at the point ``target``.

    Attributes:
        target: The point in the middle of the picture, in metres.
        azimuth: Direction from the target to the camera about y, in radians.
        pitch: How far the camera looks down, in radians.
        distance: From the target, in metres.
        focal: Focal length as a multiple of the picture's height.
        roll: How far the camera is tilted sideways, in radians.
    """

    target: tuple[float, float, float]
    azimuth: float
    pitch: float
    distance: float
    focal: float
    roll: float = 0.0

    @property
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
        below = np.cross(forward, level)
        right = np.cos(self.roll) * level + np.sin(self.roll) * below
        return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)

    @property
    def place_3(self) -> Array:
        """Where the camera is, in metres."""
        return np.float32(self.target) - np.float32(self.distance) * self.axes_33[2]


@dataclass(frozen=True)
class Surface:
    """What a floor or wall looks like.

    Attributes:
        rgb: Its colour.
        pattern_rgb: Colour of the pattern on it.
        pattern: ``plain``, ``grid``, ``checks`` or ``stripes``.
        period: Size of the pattern in metres.
    """

    rgb: Colour
    pattern_rgb: Colour
    pattern: str
    period: float


@dataclass(frozen=True)
class Box:
    """A box with its faces along the axes: its corners with the smallest and largest coordinates, and its colour."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
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
    """Light, and what the air and the lens do to it.

    Attributes:
        direction: Towards the lamp or sun; its y is positive.
        rgb: Colour and strength.
        shadow: How dark shadows are, from 0 to 1.
        haze: Share of light lost to haze at 5 m.
        haze_rgb: The haze's colour.
        blur: Radius of the lens's blur as a share of the picture's height.
        vignette: How dark the corners are, from 0 to 1.
        noise: Standard deviation of the sensor's noise, where the full range is 1.
    """

    direction: tuple[float, float, float]
    rgb: Colour
    shadow: float = 0.5
    haze: float = 0.0
    haze_rgb: Colour = (0.8, 0.82, 0.85)
    blur: float = 0.0
    vignette: float = 0.0
    noise: float = 0.0


def render(
    view: View,
    room: Room,
    light: Light,
    people: Capsules,
    path_T3: Array,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Frames:
    """Film ``people`` with a camera that is displaced by ``path_T3`` as they move.

    Args:
        view: The camera at rest.
        room: The surroundings.
        light: Light, air and lens.
        people: Their bodies at each moment.
        path_T3: The camera's displacement, in metres.
        size: Height and width in pixels.
        rng: Of the sensor's noise.

    Returns:
        Frames (T, H, W, 3), uint8, RGB.
    """
    canvas = _Canvas(view, path_T3, size)
    canvas.paint_room(room, light)
    for box in room.boxes:
        canvas.paint_box(box, light)
    canvas.cast_shadows(people, light)
    canvas.paint_capsules(people, light)
    return canvas.develop(light, rng)


class _Canvas:
    """Colours and depths of every pixel of every frame while they are painted.

    Rays have length 1 along the camera's forward axis, so that a distance along a ray is a depth.
    """

    def __init__(self, view: View, path_T3: Array, size: tuple[int, int]) -> None:
        height, width = size
        self.axes_33 = view.axes_33
        self.focal = np.float32(view.focal * height)
        self.centre = (np.float32(width / 2), np.float32(height / 2))
        self.place_T3 = view.place_3 + path_T3
        across_W = (np.arange(width, dtype=np.float32) + 0.5 - self.centre[0]) / self.focal
        down_H = (np.arange(height, dtype=np.float32) + 0.5 - self.centre[1]) / self.focal
        right, below, forward = self.axes_33
        self.ray_HW3 = across_W[None, :, None] * right + down_H[:, None, None] * below + forward
        self.ray_HW3[np.abs(self.ray_HW3) < 1e-6] = 1e-6
        self.rgb_THW3 = np.empty((len(path_T3), height, width, 3), np.float32)
        self.depth_THW = np.empty((len(path_T3), height, width), np.float32)

    def paint_room(self, room: Room, light: Light) -> None:
        """Fill everything with floor and walls or sky."""
        place = self.place_T3[:, None, None]
        ray_x, ray_y, ray_z = np.moveaxis(self.ray_HW3, -1, 0)
        floor_HW = np.where(ray_y < 0, -1.0 / ray_y, np.float32(np.inf))
        floor_THW = place[..., 1] * floor_HW
        half = np.float32(room.half_width or _FAR_M)
        x_THW = (np.copysign(half, ray_x) - place[..., 0]) * (1 / ray_x)
        z_THW = (np.copysign(half, ray_z) - place[..., 2]) * (1 / ray_z)
        wall_THW = np.minimum(np.where(x_THW > 0, x_THW, np.float32(_FAR_M)), np.where(z_THW > 0, z_THW, _FAR_M))
        is_floor_THW = floor_THW < wall_THW
        np.minimum(floor_THW, wall_THW, out=self.depth_THW)

        point_x = place[..., 0] + self.depth_THW * ray_x
        point_y = place[..., 1] + self.depth_THW * ray_y
        point_z = place[..., 2] + self.depth_THW * ray_z
        sharp_THW = self.depth_THW / self.focal
        floor_THW = _pattern(room.floor, point_x, point_z, sharp_THW / np.maximum(np.abs(ray_y), 0.05))
        if room.half_width:
            along_THW = np.where(x_THW < z_THW, point_z, point_x)
            wall_THW = _pattern(room.wall, along_THW, point_y, sharp_THW)
            lit = 0.85 + 0.15 * (x_THW < z_THW)
        else:
            wall_THW = np.clip(point_y / (0.6 * _FAR_M), 0, 1)
            lit = np.ones_like(wall_THW)
        lamp = _shade(np.float32(light.direction)[1] / np.linalg.norm(light.direction))
        for channel in range(3):
            floor_rgb = room.floor.rgb[channel] + floor_THW * np.float32(
                room.floor.pattern_rgb[channel] - room.floor.rgb[channel]
            )
            wall_rgb = room.wall.rgb[channel] + wall_THW * np.float32(
                room.wall.pattern_rgb[channel] - room.wall.rgb[channel]
            )
            self.rgb_THW3[..., channel] = np.where(is_floor_THW, floor_rgb * lamp, wall_rgb * lit)

    def paint_box(self, box: Box, light: Light) -> None:
        """Paint one box where it is nearer than what is there."""
        corners_83 = np.float32(np.stack(np.meshgrid(*zip(box.low, box.high, strict=True)), axis=-1).reshape(-1, 3))
        seen_T8, across_T8, down_T8 = self._project(corners_83[None] - self.place_T3[:, None])
        if seen_T8.min() < 0.1:
            return
        window = self._window(across_T8.min(), across_T8.max(), down_T8.min(), down_T8.max())
        if window is None:
            return
        rows, columns = window
        near_THW = np.full((1, 1, 1), -np.inf, np.float32)
        far_THW = np.full((1, 1, 1), np.inf, np.float32)
        shade_THW = np.float32(0)
        direction = np.float32(light.direction) / np.linalg.norm(light.direction)
        for axis in range(3):
            ray_HW = self.ray_HW3[rows, columns, axis]
            first = (box.low[axis] - self.place_T3[:, axis, None, None]) / ray_HW
            second = (box.high[axis] - self.place_T3[:, axis, None, None]) / ray_HW
            entry = np.minimum(first, second)
            lit = _shade(-np.sign(ray_HW) * direction[axis])
            shade_THW = np.where(entry > near_THW, lit, shade_THW)
            near_THW = np.maximum(near_THW, entry)
            far_THW = np.minimum(far_THW, np.maximum(first, second))
        depth_THW = self.depth_THW[:, rows, columns]
        hit_THW = (near_THW < far_THW) & (near_THW > 0) & (near_THW < depth_THW)
        depth_THW[hit_THW] = near_THW[hit_THW]
        self.rgb_THW3[:, rows, columns][hit_THW] = shade_THW[hit_THW][:, None] * np.float32(box.rgb)

    def cast_shadows(self, capsules: Capsules, light: Light) -> None:
        """Darken the floor where capsules stand in the light's way."""
        direction = np.float32(light.direction)
        slope_3 = direction / direction[1]
        lit_THW = np.ones_like(self.depth_THW)
        for index in range(len(capsules.rgb_N3)):
            ends_T23 = np.stack([capsules.start_TN3[:, index], capsules.end_TN3[:, index]], axis=1)
            floor_T23 = ends_T23 - np.maximum(ends_T23[..., 1:2], 0) * slope_3
            floor_T23[..., 1] = 0
            radius_2 = capsules.radius_N2[index]
            patch = self._patches(floor_T23 - self.place_T3[:, None], radius_2)
            if patch is None:
                continue
            frame, row, column = patch
            ray_P3 = self.ray_HW3[row, column]
            depth_P = self.depth_THW[frame, row, column]
            point_P2 = self.place_T3[frame][..., ::2] + depth_P[..., None] * ray_P3[..., ::2]
            height_P = self.place_T3[frame][..., 1] + depth_P * ray_P3[..., 1]
            distance_P, radius_P = _to_segment(point_P2, floor_T23[:, None, None, :, ::2], radius_2)
            soft = 0.03
            cover_P = np.clip((radius_P - distance_P) / (2 * soft) + 0.5, 0, 1) * (height_P < 0.01)
            lit_THW[frame, row, column] = np.minimum(lit_THW[frame, row, column], 1 - light.shadow * cover_P)
        self.rgb_THW3 *= lit_THW[..., None]

    def paint_capsules(self, capsules: Capsules, light: Light) -> None:
        """Paint the capsules, the farthest first, with smooth edges."""
        direction_3 = self.axes_33 @ (np.float32(light.direction) / np.linalg.norm(light.direction))
        middle_TN3 = (capsules.start_TN3 + capsules.end_TN3) / 2 - self.place_T3[:, None]
        order_N = np.argsort(-(middle_TN3 @ self.axes_33[2]).mean(axis=0), kind="stable")
        for index in order_N:
            ends_T23 = np.stack([capsules.start_TN3[:, index], capsules.end_TN3[:, index]], axis=1)
            ends_T23 = ends_T23 - self.place_T3[:, None]
            radius_2 = capsules.radius_N2[index]
            patch = self._patches(ends_T23, radius_2)
            if patch is None:
                continue
            frame, row, column = patch
            depth_T2, across_T2, down_T2 = self._project(ends_T23)
            self._paint_patch(
                frame, row, column, depth_T2, np.stack([across_T2, down_T2], axis=-1), radius_2,
                capsules.rgb_N3[index], direction_3,
            )

    def _paint_patch(self, frame, row, column, depth_T2, ends_T22, radius_2, rgb_3, direction_3):  # type: ignore
        size_T2 = radius_2 * self.focal / depth_T2
        start_T11 = ends_T22[:, 0, :, None, None]
        along_T2 = ends_T22[:, 1] - ends_T22[:, 0]
        x = column + np.float32(0.5) - start_T11[:, 0]
        y = row + np.float32(0.5) - start_T11[:, 1]
        ax, ay = along_T2[:, 0, None, None], along_T2[:, 1, None, None]
        share = np.clip((x * ax + y * ay) / np.maximum(ax * ax + ay * ay, 1e-3), 0, 1)
        x, y = x - share * ax, y - share * ay
        radius = size_T2[:, 0, None, None] + share * (size_T2[:, 1] - size_T2[:, 0])[:, None, None]
        away2 = x * x + y * y
        cover = np.clip(radius - np.sqrt(away2) + 0.5, 0, 1)
        bulge = np.sqrt(np.maximum(1 - away2 / (radius * radius), 0))
        thick = radius_2[0] + share * (radius_2[1] - radius_2[0])
        depth = depth_T2[:, 0, None, None] + share * (depth_T2[:, 1] - depth_T2[:, 0])[:, None, None] - thick * bulge
        seen = (depth < self.depth_THW[frame, row, column]) & (cover > 0)
        lit = _shade((x * direction_3[0] + y * direction_3[1]) / radius - bulge * direction_3[2])
        frame, row, column = (index[seen] for index in np.broadcast_arrays(frame, row, column))
        cover, lit, depth = cover[seen], lit[seen], depth[seen]
        under = self.rgb_THW3[frame, row, column]
        self.rgb_THW3[frame, row, column] = under + cover[:, None] * (lit[:, None] * rgb_3 - under)
        solid = cover > 0.5
        self.depth_THW[frame[solid], row[solid], column[solid]] = depth[solid]

    def develop(self, light: Light, rng: np.random.Generator):  # type: ignore
        """Haze, lens, sensor: the frames as uint8."""
        rgb_THW3 = self.rgb_THW3 * np.float32(light.rgb)
        if light.haze:
            clear_THW = np.exp(np.log1p(-np.float32(light.haze)) / 5 * self.depth_THW)
            rgb_THW3 = np.float32(light.haze_rgb) + clear_THW[..., None] * (rgb_THW3 - np.float32(light.haze_rgb))
        if light.blur:
            rgb_THW3 = _blurred(rgb_THW3, light.blur * rgb_THW3.shape[1])
        if light.vignette:
            height, width = rgb_THW3.shape[1:3]
            down_H, across_W = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
            rgb_THW3 *= (1 - light.vignette / 2 * (down_H**2 + across_W**2))[..., None].astype(np.float32)
        rgb_THW3 *= 255
        if light.noise:
            grain = rng.standard_normal(rgb_THW3.shape[1] * rgb_THW3.shape[2] * 3 + 65536, dtype=np.float32)
            grain *= np.float32(255 * light.noise)
            for frame, start in zip(rgb_THW3, rng.integers(65536, size=len(rgb_THW3)), strict=True):
                frame += grain[start : start + frame.size].reshape(frame.shape)
        return np.clip(rgb_THW3 + 0.5, 0, 255).astype(np.uint8)

    def _project(self, point_TN3: Array) -> tuple[Array, Array, Array]:
        """Depth, column and row of points given relative to the camera's place."""
        point_TN3 = point_TN3 @ self.axes_33.T
        depth_TN = np.maximum(point_TN3[..., 2], 0.05)
        return (
            depth_TN,
            self.centre[0] + self.focal * point_TN3[..., 0] / depth_TN,
            self.centre[1] + self.focal * point_TN3[..., 1] / depth_TN,
        )

    def _window(self, left: float, right: float, top: float, bottom: float) -> tuple[slice, slice] | None:
        height, width = self.depth_THW.shape[1:]
        rows = slice(max(int(top) - 1, 0), min(int(bottom) + 2, height))
        columns = slice(max(int(left) - 1, 0), min(int(right) + 2, width))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def _patches(self, ends_T23: Array, radius_2: Array):  # type: ignore
        """Indices (frame, row, column) of a rectangle in each frame, all of one size, that holds a capsule."""
        depth_T2, across_T2, down_T2 = self._project(ends_T23)
        size_T2 = radius_2 * self.focal / depth_T2 + 1.5
        rows = self._spans(down_T2 - size_T2, down_T2 + size_T2, self.depth_THW.shape[1])
        columns = self._spans(across_T2 - size_T2, across_T2 + size_T2, self.depth_THW.shape[2])
        if rows is None or columns is None:
            return None
        return np.arange(len(ends_T23))[:, None, None], rows[:, :, None], columns[:, None, :]

    @staticmethod
    def _spans(low_T2: Array, high_T2: Array, limit: int):  # type: ignore
        low_T = np.clip(low_T2.min(axis=1), 0, limit).astype(np.int64)
        high_T = np.clip(high_T2.max(axis=1) + 1, 0, limit).astype(np.int64)
        extent = int((high_T - low_T).max())
        if extent <= 0:
            return None
        return np.minimum(low_T, limit - extent)[:, None] + np.arange(extent)


def _shade(facing):  # type: ignore
    return np.float32(_AMBIENT) + np.float32(1 - _AMBIENT) * np.clip(facing, 0, 1)


def _pattern(surface: Surface, first_THW: Array, second_THW: Array, pixel_THW: Array) -> Array:
    """How much of the pattern's colour each point of a surface has, smoothed to the size of a pixel there."""
    if surface.pattern == "plain":
        return np.zeros_like(first_THW)
    edge_THW = np.maximum(pixel_THW / np.float32(surface.period), 1e-3)
    fade_THW = np.clip(1.2 - 1.5 * edge_THW, 0, 1)
    first_THW = np.abs((first_THW / np.float32(surface.period)) % 1 - 0.5)
    if surface.pattern == "stripes":
        return _smooth(first_THW - 0.25, edge_THW) * fade_THW + 0.5 * (1 - fade_THW)
    second_THW = np.abs((second_THW / np.float32(surface.period)) % 1 - 0.5)
    if surface.pattern == "grid":
        return _smooth(np.maximum(first_THW, second_THW) - 0.46, edge_THW) * fade_THW
    first_THW, second_THW = _smooth(first_THW - 0.25, edge_THW), _smooth(second_THW - 0.25, edge_THW)
    return (first_THW + second_THW - 2 * first_THW * second_THW) * fade_THW + 0.5 * (1 - fade_THW)


def _smooth(signed_THW: Array, edge_THW: Array) -> Array:
    return np.clip(signed_THW / edge_THW + 0.5, 0, 1)


def _to_segment(point_P2: Array, ends_P22: Array, radius_2: Array) -> tuple[Array, Array]:
    """Distance of points on a plane to segments, and the radius there."""
    along_P2 = ends_P22[..., 1, :] - ends_P22[..., 0, :]
    from_start_P2 = point_P2 - ends_P22[..., 0, :]
    share_P = (from_start_P2 * along_P2).sum(-1) / np.maximum((along_P2 * along_P2).sum(-1), 1e-6)
    share_P = np.clip(share_P, 0, 1)
    away_P2 = from_start_P2 - share_P[..., None] * along_P2
    return np.hypot(away_P2[..., 0], away_P2[..., 1]), radius_2[0] + share_P * (radius_2[1] - radius_2[0])


def _blurred(rgb_THW3: Array, radius: float) -> Array:
    reach = int(np.ceil(2 * radius))
    weight_K = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2).astype(np.float32)
    weight_K /= weight_K.sum()
    for axis in (1, 2):
        padded = np.pad(rgb_THW3, [(reach, reach) if a == axis else (0, 0) for a in range(4)], mode="edge")
        views = (padded.take(range(k, k + rgb_THW3.shape[axis]), axis=axis) for k in range(2 * reach + 1))
        rgb_THW3 = sum(weight * view for weight, view in zip(weight_K, views, strict=True))
    return rgb_THW3
