"""Capital that grows where p-values are small more often than they should be.

Legend: E exponents, P p-values of one check, W views of the same, B bets: a view and an exponent each.

Uniform p-values turn capital into a martingale that starts at 1, so it ever reaches 1 / a with a chance of at most a
(Ville 1939). Bets are the densities e * p ** (e - 1), for several exponents e at once (Vovk & Wang 2021, "E-values:
calibration, combination and applications", 1912.06116).

P-values may be seen in several views (strangeness.py); each view bets a share of the capital on its own, and an average
of martingales is one.

Capital is staked little by little: after n checks a share of HALF_LIFE / (HALF_LIFE + n) is still in hand. So a quiet
year does not ruin the bettor before the change comes: a mixture over when it comes, as in Shin, Ramdas & Rinaldo 2022,
"E-detectors", 2203.03532, with weights that sum to 1 whatever the horizon, which keeps Ville's bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

HALF_LIFE = 50
"""Checks after which half of the capital is staked."""

EXPONENTS = (0.15, 0.35, 0.6, 0.85)
"""Small ones win much from strong evidence and lose much without."""

WithinDay = Literal["product", "mean"]
"""How the bets of one check are combined: product if they are independent, mean if they may share a day's luck."""

_MAX_CAPITAL = 1e100

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bettor:
    """Capital that bets on one set of sources.

    Attributes:
        checks: Checks in which there was something to bet on.
        staked: Capital by bet; empty before the first.
        run: By bet, what would have been won since the best moment to start (Page 1954, CUSUM).
        since: By bet, the check of that moment.
    """

    checks: int = 0
    staked: tuple[float, ...] = ()
    run: tuple[float, ...] = ()
    since: tuple[str, ...] = ()

    @property
    def capital(self) -> float:
        """What is staked and what is in hand."""
        return sum(self.staked) + in_hand(self.checks)

    @property
    def changed_since(self) -> str | None:
        """The check since which evidence has mounted; None if it has not."""
        best = int(np.argmax(self.run)) if self.run else 0
        return self.since[best] if self.run and self.run[best] > 1.0 else None

    def bet(self, check: str, p_value_WP: ArrayLike, within_day: WithinDay, weight_WP: ArrayLike = 1.0) -> "Bettor":
        """After one check, with as many views as in every other."""
        factor_B = winnings(p_value_WP, within_day, weight_WP).ravel()
        staked_B = np.array(self.staked or (0.0,) * len(factor_B))
        before = self.run or (1.0,) * len(factor_B)
        known = self.since or ("",) * len(factor_B)
        since = tuple(old if run > 1.0 else check for run, old in zip(before, known, strict=True))
        run_B = np.minimum(np.maximum(before, 1.0) * factor_B, _MAX_CAPITAL)
        after_B = stake(staked_B, self.checks, factor_B)
        return Bettor(self.checks + 1, tuple(after_B.tolist()), tuple(run_B.tolist()), since)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Bettor":
        """From its fields, before or after JSON."""
        sequences = {name: tuple(state[name]) for name in ("staked", "run", "since")}
        return cls(checks=int(state["checks"]), **sequences)


def in_hand(checks: int) -> float:
    """Capital that is not staked yet."""
    return HALF_LIFE / (HALF_LIFE + checks)


def stake(staked_B: _Floats, checks: int, factor_B: _Floats) -> _Floats:
    """What is staked after a check: a bit more than before, times what was won. Leading dimensions are kept."""
    more = (in_hand(checks) - in_hand(checks + 1)) / factor_B.shape[-1]
    # Cut off where it would overflow; less capital never breaks the bound.
    after_B: _Floats = np.minimum((staked_B + more) * factor_B, _MAX_CAPITAL)
    return after_B


def winnings(p_value_P: ArrayLike, within_day: WithinDay, weight_P: ArrayLike = 1.0) -> _Floats:
    """By how much one check's p-values multiply capital, shape (..., E) from shape (..., P).

    Args:
        p_value_P: P-values of the check.
        within_day: How their bets are combined.
        weight_P: The power of each bet, at most 1.
    """
    exponent_E = np.array(EXPONENTS)
    p_value_P1 = np.maximum(np.asarray(p_value_P, np.float64), np.finfo(float).tiny)[..., None]
    log_bet_PE = (np.log(exponent_E) + (exponent_E - 1) * np.log(p_value_P1)) * np.asarray(weight_P)[..., None]
    if within_day == "mean":
        mean_E: _Floats = np.exp(log_bet_PE).mean(-2)
        return mean_E
    product_E: _Floats = np.exp(np.minimum(log_bet_PE.sum(-2), np.log(_MAX_CAPITAL)))
    return product_E
