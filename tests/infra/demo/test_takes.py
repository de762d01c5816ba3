import cmath
from datetime import UTC, datetime

import numpy as np
import pytest

from infra.demo.cameras import draw_camera
from infra.demo.looks import LOOKS, Look
from infra.demo.skeleton import load_motions
from infra.demo.takes import ACTIONS, FPS, NUM_FRAMES, draw_take

BASE = Look()
CAMERA = draw_camera(0, BASE, seed=0)


def takes(label, count, look=BASE, batch=0):
    return [draw_take(CAMERA, label, number, look, batch, (0,)) for number in range(1, count + 1)]


def test_there_are_at_least_twelve_actions_all_recorded():
    assert len(ACTIONS) >= 12
    assert {recording.motion for recordings in ACTIONS.values() for recording in recordings} == set(load_motions())


@pytest.mark.parametrize("label", [label for label, (first, *_) in ACTIONS.items() if first.moment_s])
def test_every_clip_holds_the_moment_that_makes_the_action(label):
    moments = {id(load_motions()[recording.motion]): recording.moment_s for recording in ACTIONS[label]}
    for take in takes(label, 50):
        moment_s = (moments[id(take.motion)] - take.start_s) / take.speed
        assert 0.4 < moment_s < NUM_FRAMES / FPS - 0.4


@pytest.mark.parametrize("label", ACTIONS)
def test_nothing_but_the_motion_gives_the_action_away(label):
    drawn = takes(label, 300)
    resultant = abs(sum(cmath.exp(1j * take.heading) for take in drawn)) / len(drawn)
    assert resultant < 0.15
    assert {take.person for take in drawn} == set(CAMERA.crowd)
    assert np.abs(np.mean([take.spot for take in drawn], axis=0)).max() < 0.03
    assert np.std([take.start_s for take in drawn]) > 0.15


def test_times_are_of_the_look_and_the_batch():
    for take in takes("walk", 50, LOOKS["night"], batch=2):
        assert datetime(2026, 2, 14, 20, tzinfo=UTC) <= take.captured_at < datetime(2026, 3, 6, 5, tzinfo=UTC)
        assert take.captured_at.hour >= 20 or take.captured_at.hour < 5


def test_a_later_batch_shows_the_same_people_doing_other_things():
    first, later = takes("run", 20), takes("run", 20, batch=1)
    assert {take.person for take in first} == {take.person for take in later} == set(CAMERA.crowd)
    assert not {take.start_s for take in first} & {take.start_s for take in later}
    assert max(take.captured_at for take in first) < min(take.captured_at for take in later)


@pytest.mark.parametrize("label", ACTIONS)
def test_people_stay_in_the_picture(label):
    uniform = draw_camera(0, Look(clothes_rgb=(1.0, 0.0, 0.0), floor_rgb=(0.2, 0.2, 0.2)), seed=0)
    for number in (1, 2, 3):
        frames = draw_take(uniform, label, number, BASE, 0, (0,)).film(NUM_FRAMES, (32, 32)).astype(int)
        seen_T = (frames[..., 0] > frames[..., 1:].max(axis=-1) + 80).sum(axis=(1, 2))
        assert seen_T.min() > 20
