import numpy as np
import pytest

from tasks.statistics.betting import EXPONENTS, Bettor, winnings


@pytest.mark.parametrize("within_day", ["product", "mean"])
def test_uniform_p_values_are_not_expected_to_win(within_day):
    rng = np.random.default_rng(0)
    mild_E = winnings(rng.random((200_000, 2)), within_day).mean(0)[2:]  # the variance of the others is infinite
    assert mild_E == pytest.approx(np.ones(2), abs=0.06)


def test_capital_reaches_a_limit_as_seldom_as_ville_says():
    rng = np.random.default_rng(0)
    highest = []
    for _ in range(400):
        bettor, most = Bettor(), 1.0
        for check in range(100):
            bettor = bettor.bet(str(check), rng.random(3).tolist(), "product")
            most = max(most, bettor.capital)
        highest.append(most)
    assert 0.02 < np.mean(np.array(highest) >= 10) <= 0.1


def test_a_quiet_year_leaves_capital_for_the_change():
    rng = np.random.default_rng(0)
    bettor = Bettor()
    for check in range(365):
        bettor = bettor.bet(str(check), rng.random(10).tolist(), "product")
    assert bettor.capital > 0.05
    for check in range(365, 371):
        bettor = bettor.bet(str(check), (0.05 * rng.random(10)).tolist(), "product")
    assert bettor.capital > 100
    assert int(bettor.changed_since or 0) == pytest.approx(365, abs=2)


def test_nothing_has_changed_at_the_start_and_evidence_never_overflows():
    assert (Bettor().capital, Bettor().changed_since) == (1.0, None)
    bettor = Bettor()
    for check in range(5):
        bettor = bettor.bet(str(check), [0.0] * 50, "product")
    assert np.isfinite(bettor.capital)
    assert len(bettor.staked) == len(EXPONENTS)
