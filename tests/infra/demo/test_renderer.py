import math

import numpy as np
import pytest

from infra.demo.arrays import array
from infra.demo.people import Capsules
from infra.demo.renderer import render
from infra.demo.scene import Box, Light, Room, Surface, View

GREY, RED, GREEN, BLUE = (0.5, 0.5, 0.5), (0.9, 0.0, 0.0), (0.0, 0.9, 0.0), (0.0, 0.0, 0.9)
VIEW = View(target=(0.0, 1.0, 0.0), azimuth=0.0, pitch=0.1, distance=4.0, focal=1.5)
LIGHT = Light(direction=(0.6, 0.8, 0.0), rgb=(1.0, 1.0, 1.0))


def plain(rgb):
    return Surface(rgb, rgb, "plain", 1.0)


ROOM = Room(8.0, plain(GREY), plain(GREY))


def ball(place, radius, rgb, frames=1):
    place_T13 = np.broadcast_to(array(place), (frames, 1, 3))
    return Capsules(place_T13, place_T13, array([[radius, radius]]), array([rgb]))


def together(*capsules):
    starts, ends, radii, colours = zip(*capsules, strict=True)
    return Capsules(np.concatenate(starts, 1), np.concatenate(ends, 1), np.concatenate(radii), np.concatenate(colours))


NOBODY = ball((0, 1, 900), 0.1, RED)


def film(people=NOBODY, view=VIEW, room=ROOM, light=LIGHT, path=((0, 0, 0),), size=(64, 64)):
    return render(view, room, light, people, array(path), size, np.random.default_rng(0)).astype(int)


def is_mostly(pixels, channel):
    others = np.delete(pixels, channel, axis=-1).max(axis=-1)
    return pixels[..., channel] > others + 60


def test_what_is_aimed_at_is_in_the_middle_and_as_large_as_it_should_be():
    seen_HW = is_mostly(film(ball((0, 1, 0), 0.3, RED))[0], 0)
    rows, columns = np.nonzero(seen_HW)
    assert abs(rows.mean() - 31.5) < 1
    assert abs(columns.mean() - 31.5) < 1
    radius = 64 * 1.5 * 0.3 / 4  # focal length times size over distance
    assert abs(seen_HW.sum() / (math.pi * radius**2) - 1) < 0.12


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_hides_the_farther(order):
    both = (ball((0, 1, 0), 0.3, RED), ball((1, 1, 0), 0.3, GREEN))
    assert is_mostly(film(together(*(both[index] for index in order)))[0, 32, 32], 1)


def test_balls_that_meet_are_cut_where_they_meet():
    pair = together(ball((0, 1, -0.1), 0.3, RED), ball((0.02, 1, 0.1), 0.3, GREEN))
    frame = film(pair)[0]
    assert is_mostly(frame[32, 32 + 8], 0)
    assert is_mostly(frame[32, 32 - 8], 1)


def test_a_camera_on_the_other_side_sees_left_and_right_swapped():
    pair = together(ball((0, 1, -0.5), 0.3, RED), ball((0, 1, 0.5), 0.3, GREEN))
    behind = View((0.0, 1.0, 0.0), math.pi, 0.1, 4.0, 1.5)
    red_at, red_from_behind_at = (np.nonzero(is_mostly(film(pair, view)[0], 0))[1].mean() for view in (VIEW, behind))
    assert abs(red_at - 31.5) > 8
    assert abs(red_at + red_from_behind_at - 63) < 1


def test_a_tilted_camera_tilts_the_picture():
    upright = Capsules(array([[[0, 0.4, 0]]]), array([[[0, 1.6, 0]]]), array([[0.1, 0.1]]), array([RED]))
    lying = film(upright, View((0.0, 1.0, 0.0), 0.0, 0.1, 4.0, 1.5, roll=math.pi / 2))[0]
    rows, columns = np.nonzero(is_mostly(lying, 0))
    assert np.ptp(columns) > 3 * np.ptp(rows)


def test_a_box_hides_what_is_behind_it_and_not_what_is_before_it():
    box = Box((0.5, 0.0, -0.5), (0.8, 2.0, 0.5), BLUE)
    room = Room(8.0, plain(GREY), plain(GREY), (box,))
    assert is_mostly(film(ball((0, 1, 0), 0.2, RED), room=room)[0, 32, 32], 2)
    assert is_mostly(film(ball((1.5, 1, 0), 0.2, RED), room=room)[0, 32, 32], 0)


def test_a_box_around_the_camera_is_left_out():
    room = Room(8.0, plain(GREY), plain(GREY), (Box((3.0, 0.0, -1.0), (5.0, 2.0, 1.0), BLUE),))
    assert not is_mostly(film(room=room)[0], 2).any()


def test_shadows_fall_on_the_floor_away_from_the_light():
    from_above = View((0.0, 0.0, 0.0), 0.0, 1.4, 5.0, 1.2)
    person = ball((0, 0.5, 0), 0.2, GREY)
    dark_HW = film(person, from_above)[0].sum(-1) < film(view=from_above)[0].sum(-1) - 60
    # The light comes from x, where the camera is: the shadow lies beyond the ball, which is higher up in the picture.
    assert dark_HW[:32].sum() > 20
    assert not dark_HW[40:].any()


def test_surfaces_that_face_the_light_are_brighter():
    side = View((0.0, 1.0, 0.0), math.pi / 2, 0.0, 4.0, 1.5)
    frame = film(ball((0, 1, 0), 0.5, RED), side)[0, 32, :, 0]
    towards_x, away = (frame[40], frame[24]) if side.axes_33[0, 0] > 0 else (frame[24], frame[40])
    assert towards_x > away + 20


@pytest.mark.parametrize("pattern", ["grid", "checks", "stripes"])
def test_patterns_show_near_and_fade_far(pattern):
    floor = Surface((0.2, 0.2, 0.2), (0.8, 0.8, 0.8), pattern, 0.5)
    frame = film(room=Room(0.0, floor, plain(GREY)), view=View((0.0, 0.3, 0.0), 0.4, 0.12, 4.0, 1.0))[0, :, :, 0]
    horizon = 32 - round(64 * math.tan(0.12))
    assert np.ptp(frame[-4:]) > 60
    assert np.ptp(frame[horizon + 1]) < 30


def test_the_surroundings_pass_when_the_camera_moves():
    floor = Surface((0.2, 0.2, 0.2), (0.8, 0.8, 0.8), "checks", 0.5)
    first, second = film(
        together(ball((0, 1, 900), 0.1, RED, 2)), room=Room(8.0, floor, plain(GREY)), path=((0, 0, 0), (0, 0, 0.25))
    )
    assert (np.abs(first - second)[40:] > 30).mean() > 0.05


@pytest.mark.parametrize("place", [(0, 1, 30), (-4, 9, 0), (9, 1, 0), (4, 1.4, 0)])
def test_people_beside_above_behind_or_at_the_camera_are_not_in_the_picture(place):
    np.testing.assert_array_equal(film(ball(place, 0.3, RED)), film())
