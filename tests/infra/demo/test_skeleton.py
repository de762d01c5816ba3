import math

import numpy as np
import pytest

from infra.demo.skeleton import Proportions, load_motions, place_joints

TAKES = sorted(load_motions())
AVERAGE = Proportions()


def joints(name, times_s, proportions=AVERAGE, heading=0.0):
    return place_joints(*load_motions()[name].poses(np.array(times_s)), proportions, heading)


def test_there_are_fifteen_takes():
    assert len(TAKES) == 15


@pytest.mark.parametrize("name", TAKES)
def test_bones_keep_their_length_at_any_time(name):
    places = joints(name, np.linspace(-1.0, 6.0, 50))
    shin_T = np.linalg.norm(places["left knee"] - places["left ankle"], axis=1)
    upper_arm_T = np.linalg.norm(places["right shoulder"] - places["right elbow"], axis=1)
    np.testing.assert_allclose(shin_T, 0.41, atol=1e-4)
    np.testing.assert_allclose(upper_arm_T, 0.2748, atol=1e-4)


@pytest.mark.parametrize("name", TAKES)
def test_nobody_sinks_into_the_floor_or_jumps_over_houses(name):
    places = joints(name, np.linspace(0.0, load_motions()[name].duration_s, 60))
    heights = np.concatenate([place_T3[:, 1] for place_T3 in places.values()])
    assert heights.min() > -0.2
    assert heights.max() < 2.6


def test_a_looping_motion_repeats_further_on():
    walk = load_motions()["walk"]
    places = joints("walk", [0.3, 0.3 + walk.duration_s, 0.3 + 2 * walk.duration_s])
    first, second, third = places["right ankle"]
    np.testing.assert_allclose(second - first, third - second, atol=1e-4)
    assert (second - first)[0] > 1.0


def test_the_end_of_a_loop_runs_into_its_beginning():
    walk = load_motions()["walk"]
    end, beginning = joints("walk", [walk.duration_s - 1e-4, walk.duration_s + 1e-4])["left fingers"]
    np.testing.assert_allclose(end, beginning, atol=0.005)


def test_another_motion_holds_its_first_and_last_pose():
    kick = load_motions()["kick"]
    places = joints("kick", [-3.0, 0.0, kick.duration_s, kick.duration_s + 3.0])
    before, first, last, after = places["right toes"]
    np.testing.assert_array_equal(before, first)
    np.testing.assert_array_equal(last, after)


def test_walkers_face_where_they_go():
    places = joints("walk", [0.0, 1.0], heading=math.pi / 2)
    way = places["root"][1] - places["root"][0]
    toes = (places["right toes"] - places["right heel"] + places["left toes"] - places["left heel"]).mean(axis=0)
    assert way[2] < -0.5  # a quarter turn about y leads from x to -z
    assert toes[2] < 0


def test_the_right_hand_is_to_the_right():
    places = joints("walk", [0.5])
    assert places["right wrist"][0, 2] > places["left wrist"][0, 2]


def test_long_legs_make_tall_people():
    tall = joints("walk", [0.5], Proportions(leg=1.1))
    usual = joints("walk", [0.5])
    assert tall["crown"][0, 1] > usual["crown"][0, 1] + 0.05
    assert abs(tall["right toes"][0, 1] - usual["right toes"][0, 1]) < 0.03
