import numpy as np
import pytest

from tasks.statistics.strangeness import RECENT_DAYS, conformal_p_value, correlations, num_views, p_values

VIEWS = num_views("product")


def seen(rng, days: int, cameras: int = 12, numbers: int = 8):
    """Days of cameras that differ from each other, all of them seen every day."""
    return 3 * rng.standard_normal((cameras, 1, numbers)) + rng.standard_normal((cameras, days, numbers))


def views(day_SNV, tie_SW):
    known_SN = np.ones((day_SNV.shape[0], day_SNV.shape[1] - 1), bool)
    return p_values(day_SNV[:, :-1], known_SN, day_SNV[:, -1], tie_SW)


def ties(rng, cameras: int = 12):
    return rng.random((cameras, VIEWS))


def test_every_view_of_unchanged_days_is_uniform():
    rng = np.random.default_rng(0)
    found_WU = np.concatenate([views(seen(rng, 6), ties(rng)) for _ in range(300)], axis=1)
    assert found_WU.shape == (1 + 2 * len(RECENT_DAYS), 3600)
    for of_view in found_WU:
        assert np.histogram(of_view, 5, (0, 1))[0] / len(of_view) == pytest.approx(np.full(5, 0.2), abs=0.03)


def test_a_move_that_drowns_in_all_numbers_is_seen_along_the_line_that_others_took():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(50):
        day_SNV = seen(rng, 20)
        day_SNV[:, -2:, 0] += 2.0
        found.append(views(day_SNV, ties(rng)))
    distance, forward, backward = np.stack(found)[:, :3].mean((0, 2))
    assert distance > 0.3
    assert max(forward, backward) < 0.24


def test_a_direction_owes_nothing_to_the_source_itself_nor_to_those_after_it():
    rng = np.random.default_rng(2)
    day_SNV, tie_SW = seen(rng, 10), ties(rng)
    before_WS = views(day_SNV, tie_SW)
    day_SNV[6:] = rng.standard_normal(day_SNV[6:].shape)
    after_WS = views(day_SNV, tie_SW)
    np.testing.assert_array_equal(before_WS[1::2, :6], after_WS[1::2, :6])
    assert (before_WS[2::2, :3] != after_WS[2::2, :3]).any()


def test_one_day_that_all_share_gives_no_direction_to_itself():
    rng = np.random.default_rng(6)
    day_SNV = seen(rng, 20)
    day_SNV[:, -1] += 2.0 * rng.standard_normal(8)
    assert views(day_SNV, ties(rng))[1:, 3:-3].mean() > 0.3


def test_where_too_few_have_moved_it_is_the_distance_that_counts():
    rng = np.random.default_rng(3)
    found_WS = views(seen(rng, 10), ties(rng))
    np.testing.assert_array_equal(found_WS[1::2, :3] != found_WS[2::2, :3], True)
    alone = views(seen(rng, 10, cameras=3), np.full((3, VIEWS), 0.5))
    np.testing.assert_array_equal(alone, np.broadcast_to(alone[0], alone.shape))


def test_days_on_which_a_source_was_not_seen_count_for_nothing():
    rng = np.random.default_rng(4)
    day_SNV, tie_SW = seen(rng, 10), ties(rng)
    known_SN = rng.random((12, 9)) < 0.7
    found, same = (
        p_values(np.where(known_SN[..., None], day_SNV[:, :-1], filler), known_SN, day_SNV[:, -1], tie_SW)
        for filler in (0.0, 99.0)
    )
    np.testing.assert_allclose(found, same)
    new_SV = day_SNV[:, -1].copy()
    new_SV[5] = np.nan
    absent = p_values(day_SNV[:, :-1], known_SN, new_SV, tie_SW)
    assert np.isnan(absent[:, 5]).all()
    np.testing.assert_allclose(np.delete(absent, 5, axis=1), np.delete(found, 5, axis=1))


def test_leading_dimensions_are_kept():
    rng = np.random.default_rng(5)
    known_SN = np.ones((12, 7), bool)
    day_SNV, tie_SW = seen(rng, 8), ties(rng)
    one = views(day_SNV, tie_SW), correlations(day_SNV[:, :-1], known_SN, VIEWS)
    both_RSNV, known_RSN = np.stack((day_SNV, day_SNV)), np.stack((known_SN, known_SN))
    two = (
        p_values(both_RSNV[:, :, :-1], known_RSN, both_RSNV[:, :, -1], np.stack((tie_SW, tie_SW))),
        correlations(both_RSNV[:, :, :-1], known_RSN, VIEWS),
    )
    for single, double in zip(one, two, strict=True):
        np.testing.assert_allclose(double, np.stack((single, single)))


def test_what_sources_share_on_a_day_is_estimated():
    rng = np.random.default_rng(7)
    known_SN, found = np.ones((12, 40), bool), {}
    for share in (0.0, 0.1, 0.5):
        shared_NV = np.sqrt(share) * rng.standard_normal((40, 8))
        day_SNV = seen(rng, 40) + shared_NV
        found[share] = correlations(day_SNV, known_SN, VIEWS)
    assert np.median(found[0.0]) < 0.01
    for share in (0.1, 0.5):
        assert np.median(found[share]) == pytest.approx(share / (1 + share), rel=0.3)
    np.testing.assert_array_equal(found[0.5][0, :3], 0.0)
    np.testing.assert_array_equal(correlations(day_SNV, known_SN, 1), np.zeros((1, 12)))


@pytest.mark.parametrize("changed_days", [1, 3, 10])
def test_a_change_that_stays_is_not_taken_for_shared_luck(changed_days):
    rng = np.random.default_rng(8)
    day_SNV = seen(rng, 30)
    day_SNV[:, -changed_days:, 0] += 4.0
    assert np.median(correlations(day_SNV, np.ones((12, 30), bool), VIEWS)) < 0.04


def test_days_that_others_brought_already_give_no_direction():
    rng = np.random.default_rng(9)
    day_SNV, tie_SW = seen(rng, 20), ties(rng)
    known_SN = np.ones((12, 19), bool)
    alone = p_values(day_SNV[:, :-1], known_SN, day_SNV[:, -1], tie_SW)
    others = np.concatenate((known_SN, np.arange(12)[:, None] % 2 == 0), axis=1)
    new_SV = np.where(others[:, -1:], np.nan, day_SNV[:, -1])
    among = p_values(day_SNV, others, new_SV, tie_SW, num_before=19)
    np.testing.assert_allclose(among[:, 1::2], alone[:, 1::2])


def test_ranks_count_ties_by_chance():
    known = np.array([[0.0], [2.0], [1.0]])
    assert conformal_p_value(known, (1.0,), 0.5) == (2 + 0.5 * 2) / 4
    assert conformal_p_value(known, (9.0,), 0.5) == 0.5 / 4
