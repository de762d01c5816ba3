from dataclasses import replace

import pytest

from infra.demo.cameras import draw_camera
from infra.demo.looks import LOOKS, Look

BASE = Look()


def test_a_camera_is_the_same_whenever_it_is_drawn():
    assert draw_camera(3, BASE, seed=0) == draw_camera(3, BASE, seed=0)


def test_cameras_differ_in_everything():
    first, second = draw_camera(0, BASE, seed=0), draw_camera(1, BASE, seed=0)
    assert (first.source_id, second.source_id) == ("cam-01", "cam-02")
    for name in ("view", "room", "light", "crowd", "speed", "follow"):
        assert getattr(first, name) != getattr(second, name)


def test_another_seed_is_another_world():
    assert draw_camera(0, BASE, seed=0).view != draw_camera(0, BASE, seed=1).view


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("night", {"light"}),
        ("high_camera", {"view"}),
        ("far", {"view"}),
        ("slow", {"speed"}),
        ("clutter", {"room"}),
        ("red_floor", {"room"}),
        ("fog", {"light"}),
        ("uniform", {"crowd"}),
        ("askew", {"view"}),
        ("blurred", {"light"}),
    ],
)
def test_a_look_changes_what_it_names_and_leaves_the_rest(name, changed):
    for index in range(4):
        before, after = draw_camera(index, BASE, seed=0), draw_camera(index, LOOKS[name], seed=0)
        parts = ("source_id", "view", "room", "light", "crowd", "speed", "follow")
        assert {part for part in parts if getattr(before, part) != getattr(after, part)} == changed


def test_clutter_adds_to_what_stands_there():
    before, after = (draw_camera(2, look, seed=0).room for look in (BASE, LOOKS["clutter"]))
    assert after.boxes[: len(before.boxes)] == before.boxes
    assert len(after.boxes) == len(before.boxes) + LOOKS["clutter"].boxes + LOOKS["clutter"].posts
    assert replace(after, boxes=before.boxes) == before
