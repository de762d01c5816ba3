"""Have embeddings changed in any way? Maximum mean discrepancy over several kernels at once.

Legend: N clips of a side, M clips kept of both sides, D features, P random frequencies, F random features, U units,
B permutations, J kernels.

MMD-FUSE (Biggs, Schrab & Gretton 2023, "MMD-FUSE: Learning and Combining Kernels for Two-Sample Testing Without Data
Splitting", 2306.08777) takes a soft maximum over kernels and permutes it as a whole, so no kernel need be chosen and no
level is split. Here the points are units (see permutation.py), each the mean of its clips' features (a kernel between
distributions: Muandet et al. 2012), and the kernels are Gaussian and exponential ones of several bandwidths.

Random Fourier features (Rahimi & Recht 2007) stand for the kernels, so that clips are looked at once and a permutation
is a product of matrices over units. A Gaussian frequency divided by half-normal luck is one of the exponential kernel,
so all kernels share one projection. Scaling, bandwidths and normaliser are of both sides pooled, which no permutation
changes: scaling by the reference alone took false alarms from 4% to 45% on real surveillance clips. Kernels are centred
before they are normalised (the paper does not): wide ones, near 1 everywhere, keep their say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist
from scipy.special import logsumexp

from tasks.statistics.outcome import Abstained, two_sides
from tasks.statistics.permutation import MIN_UNITS, Units, gather_units, permutation_p_values

_NUM_FREQUENCIES = 128
_NUM_BANDWIDTHS = 5
_MAX_DISTANCE_CLIPS = 500
_CHUNK = 16_384

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Discrepancy:
    """How two samples of embeddings differ.

    Attributes:
        statistic: MMD-FUSE: about the discrepancy in standard deviations of pooled kernels.
        p_value: Of the permutation of units.
        num_reference: Units of the reference.
        num_window: Units of the window.
    """

    statistic: float
    p_value: float
    num_reference: int
    num_window: int


def mmd_fuse(
    reference_ND: ArrayLike,
    reference_units: Sequence[Any] | NDArray[Any],
    window_ND: ArrayLike,
    window_units: Sequence[Any] | NDArray[Any],
    *,
    permutations: int = 500,
    level: float = 0.05,
    min_units: int = MIN_UNITS,
    seed: int = 0,
) -> Discrepancy | Abstained:
    """Test whether both sides' embeddings are of one distribution.

    Args:
        reference_ND: Embeddings of the reference.
        reference_units: The unit of each clip: its source, or its source and day.
        window_ND: Embeddings of the window.
        window_units: The same for the window.
        permutations: Permutations of units.
        level: At which the p-value will be read; where units are too few to reach it, the test abstains.
        min_units: Units that each side needs.
        seed: Of features, permutations, and of the choice of clips.

    Raises:
        UserError: An embedding is not finite, or the two sides' widths differ.
    """
    sides = two_sides(reference_ND, window_ND, "embedding")
    if isinstance(sides, Abstained):
        return sides
    units = gather_units(reference_units, window_units, level=level, min_units=min_units, seed=seed)
    if isinstance(units, Abstained):
        return units
    embedding_MD = units.pick(*sides)
    mean_D, scale_D = _moments(embedding_MD)
    if not scale_D.any():
        return Abstained("All clips have the same embedding; check that the video is not a still or a test picture.")
    np.subtract(embedding_MD, mean_D, out=embedding_MD)
    np.divide(embedding_MD, scale_D, out=embedding_MD, where=scale_D > 0)
    kernels = [_Kernel.of(feature_UF) for feature_UF in _features(embedding_MD, units, np.random.default_rng(seed))]
    smoothness = np.sqrt(min(units.num_reference, units.num_window) * (min(units.num_reference, units.num_window) - 1))

    def fused(in_window_BU: _Floats) -> NDArray[np.float64]:
        discrepancy_JB = np.stack([kernel.discrepancy(in_window_BU) for kernel in kernels])
        fused_B = logsumexp(smoothness * discrepancy_JB, axis=0) - np.log(len(kernels))
        column_B1: NDArray[np.float64] = fused_B[:, None] / smoothness
        return column_B1

    statistic_1, p_value_1 = permutation_p_values(fused, units, permutations=permutations, level=level, seed=seed)
    return Discrepancy(float(statistic_1[0]), float(p_value_1[0]), units.num_reference, units.num_window)


@dataclass(frozen=True)
class _Kernel:
    """A kernel by its features of each unit, centred and normalised."""

    feature_UF: _Floats
    square_U: _Floats

    @classmethod
    def of(cls, feature_UF: _Floats) -> "_Kernel":
        feature_UF = feature_UF - feature_UF.mean(0)
        square_U = np.einsum("uf,uf->u", feature_UF, feature_UF)
        num_units = len(feature_UF)
        off_diagonal = np.square(feature_UF.T @ feature_UF).sum() - np.square(square_U).sum()
        deviation = np.sqrt(max(off_diagonal / (num_units * (num_units - 1)), np.finfo(np.float32).tiny))
        return cls(feature_UF / np.sqrt(deviation), square_U / deviation)

    def discrepancy(self, in_window_BU: _Floats) -> NDArray[np.float64]:
        """Unbiased squared MMD of each row (Gretton et al. 2012, JMLR 13, lemma 6)."""
        num_window = in_window_BU[0].sum()
        num_reference = in_window_BU.shape[1] - num_window
        window_BF = in_window_BU @ self.feature_UF
        # Centred features sum to nothing, so the reference's sum is minus the window's.
        square_B = np.einsum("bf,bf->b", window_BF, window_BF).astype(np.float64)
        self_B = in_window_BU @ self.square_U
        within_window_B = (square_B - self_B) / (num_window * (num_window - 1))
        within_reference_B = (square_B - (self.square_U.sum() - self_B)) / (num_reference * (num_reference - 1))
        between_B = -square_B / (num_window * num_reference)
        discrepancy_B: NDArray[np.float64] = within_window_B + within_reference_B - 2 * between_B
        return discrepancy_B


def _moments(embedding_MD: _Floats) -> tuple[_Floats, _Floats]:
    mean_D = embedding_MD.mean(0, dtype=np.float64).astype(np.float32)
    square_D = np.zeros(embedding_MD.shape[1])
    for first in range(0, len(embedding_MD), _CHUNK):
        square_D += np.square(embedding_MD[first : first + _CHUNK] - mean_D).sum(0)
    scale_D = np.sqrt(square_D / len(embedding_MD)).astype(np.float32)
    # A feature that is the same everywhere has a mean that is rounded, and no scale.
    scale_D[scale_D <= 1e-6 * np.abs(mean_D)] = 0.0
    return mean_D, scale_D


def _features(embedding_MD: _Floats, units: Units, rng: np.random.Generator) -> Iterator[_Floats]:
    """Mean features of each unit, shape (U, F), a kernel at a time."""
    some = rng.choice(len(embedding_MD), min(len(embedding_MD), _MAX_DISTANCE_CLIPS), replace=False)
    near, far = np.quantile(pdist(embedding_MD[some]), (0.05, 0.95))
    far = far or 1.0  # most clips are the same
    bandwidths = np.linspace(0.5 * max(near, 0.1 * far), 2.0 * far, _NUM_BANDWIDTHS)
    frequency_DP = rng.standard_normal((embedding_MD.shape[1], _NUM_FREQUENCIES), np.float32)
    luck_P = np.abs(rng.standard_normal(_NUM_FREQUENCIES)).astype(np.float32)
    phase_MP = embedding_MD @ frequency_DP
    mean_UM = units.averaging()
    for divisor_P in (np.ones(1, np.float32), luck_P):
        for bandwidth in bandwidths.astype(np.float32):
            turned_MP = phase_MP / (bandwidth * divisor_P)
            feature_UF = np.concatenate((mean_UM @ np.cos(turned_MP), mean_UM @ np.sin(turned_MP)), 1, dtype=np.float32)
            yield feature_UF / np.float32(np.sqrt(_NUM_FREQUENCIES))
