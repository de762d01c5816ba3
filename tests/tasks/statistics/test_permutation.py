import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.outcome import Abstained
from tasks.statistics.permutation import Units, gather_units, permutation_p_values, smallest_p_value


def gathered(reference, window, **more) -> Units:
    units = gather_units(reference, window, **{"level": 0.05, "seed": 0} | more)
    assert isinstance(units, Units)
    return units


def test_units_of_both_sides_are_told_apart_even_under_the_same_name():
    units = gathered(np.repeat(["a", "b", "c", "d", "e"], 2), np.repeat(["a", "b", "c", "d", "e", "f"], 2))
    assert (units.num_reference, units.num_window, len(units)) == (5, 6, 11)
    assert sorted(units.unit_M[units.clip_M < 10]) == sorted(list(range(5)) * 2)
    assert set(units.unit_M[units.clip_M >= 10]) == set(range(5, 11))


def test_units_are_cut_to_the_size_of_the_smaller_sides_median():
    units = gathered(np.repeat(np.arange(8), 30), np.repeat(np.arange(6), [3, 4, 4, 4, 5, 9]))
    assert np.bincount(units.unit_M).tolist() == [4] * 8 + [3, 4, 4, 4, 4, 4]
    assert len(set(units.clip_M)) == len(units.clip_M)


def test_means_are_those_of_each_unit():
    reference, window = np.arange(20.0).reshape(10, 2), np.arange(100.0, 120.0).reshape(10, 2)
    units = gathered(np.repeat(np.arange(5), 2), np.tile(np.arange(5), 2))
    mean_U2 = units.averaging() @ units.pick(reference, window)
    assert mean_U2[0].tolist() == [1.0, 2.0]
    assert mean_U2[5].tolist() == window[[0, 5]].mean(0).tolist()


@pytest.mark.parametrize(("reference", "window"), [(range(4), range(9)), (range(9), [0] * 50), (range(9), [])])
def test_too_few_sources_abstain_and_say_so(reference, window):
    answer = gather_units(list(reference), list(window), level=0.05, seed=0)
    assert isinstance(answer, Abstained)
    assert "at least 5" in answer.reason


def test_a_level_that_no_permutation_can_reach_abstains():
    assert smallest_p_value(3, 3) == 2 / 20
    assert smallest_p_value(3, 4) == 1 / 35
    answer = gather_units(range(3), range(3), level=0.05, min_units=2, seed=0)
    assert isinstance(answer, Abstained)
    assert "too few ways" in answer.reason
    assert isinstance(gather_units(range(5), range(5), level=0.05, num_tests=7, seed=0), Abstained)
    gathered(range(3), range(4), min_units=2)


def test_a_p_value_is_the_share_of_deals_at_least_as_extreme():
    units = gathered(range(5), range(5, 10))
    rank_U = np.arange(10.0)
    exact = 1 / 252
    (top,), (p_value,) = permutation_p_values(
        lambda in_window_BU: (in_window_BU @ rank_U)[:, None], units, permutations=20_000, level=0.05, seed=0
    )
    assert top == 35
    assert p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_ties_speak_for_the_null_hypothesis():
    units = gathered(range(5), range(5))
    _, p_values = permutation_p_values(
        lambda in_window_BU: np.full((len(in_window_BU), 2), 0.1), units, permutations=99, level=0.05, seed=0
    )
    assert p_values.tolist() == [1.0, 1.0]


def test_enough_permutations_are_drawn_for_many_tests():
    units = gathered(range(20), range(20))
    first = np.arange(40) >= 20
    _, p_values = permutation_p_values(
        lambda in_window_BU: (in_window_BU @ first)[:, None], units, permutations=10, level=0.05, num_tests=100, seed=0
    )
    assert p_values[0] < 0.05 / 100


def test_no_permutations_are_refused():
    with pytest.raises(UserError, match="permutations: 0"):
        permutation_p_values(
            lambda in_window_BU: in_window_BU, gathered(range(5), range(5)), permutations=0, level=0.05, seed=0
        )
