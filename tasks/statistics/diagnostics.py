"""What has moved: figures and an order of clips to look at, never a trigger.

Legend: N clips of a side, D features, C components, S sources.

- Frechet distance between Gaussians (Dowson & Landau 1982, J. Multivar. Anal. 12:450-455; Heusel et al. 2017,
  1706.08500).
- Error of reconstruction by the reference's principal components (Jackson & Mudholkar 1979, Technometrics 21:341-349).
- A linear classifier of reference against window, its scores cross-validated by source (Lopez-Paz & Oquab 2017,
  1610.06545, there over clips).

None of them knows what quiet worlds look like: the distance is never zero, components fit the clips that they are of,
and any classifier tells one source from another. So they carry no p-value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg
from scipy.stats import rankdata

from tasks.statistics.outcome import Abstained, two_sides

_NUM_FOLDS = 5
_EXPLAINED = 0.9
_RIDGE = 0.1
_MIN_SOURCES = 2
_TINY = 1e-12

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moved:
    """Where the window differs from the reference.

    Attributes:
        frechet_distance: Squared, in the embedding's own units.
        reconstruction_N: Each window clip's squared error, as a multiple of the mean of reference clips of sources that
            the components were not fitted to.
        domain_score_N: Each window clip's score by classifiers that did not see its source; above 0 is like the window.
        domain_auc: Chance that a clip of the window scores higher than one of the reference, 0 to 1.
        order_N: Indices of the window's clips, those that moved most first.
    """

    frechet_distance: float
    reconstruction_N: _Floats
    domain_score_N: _Floats
    domain_auc: float
    order_N: NDArray[np.int64]


def diagnose(
    reference_ND: ArrayLike,
    reference_sources: Sequence[Any] | NDArray[Any],
    window_ND: ArrayLike,
    window_sources: Sequence[Any] | NDArray[Any],
    *,
    seed: int = 0,
) -> Moved | Abstained:
    """Rank the window's clips by how much they moved.

    Args:
        reference_ND: Embeddings of the reference.
        reference_sources: The source of each clip; folds keep sources whole, on whichever side their clips are.
        window_ND: Embeddings of the window.
        window_sources: The source of each clip.
        seed: Of the folds.

    Raises:
        UserError: An embedding is not finite, or the two sides' widths differ.
    """
    sides = two_sides(reference_ND, window_ND, "embedding")
    if isinstance(sides, Abstained):
        return sides
    reference_ND, window_ND = sides
    sources = [np.asarray(ids) for ids in (reference_sources, window_sources)]
    for ids_N, name in zip(sources, ("reference", "window"), strict=True):
        if len(np.unique(ids_N)) < _MIN_SOURCES:
            return Abstained(f"The {name} has one source; collect clips of at least {_MIN_SOURCES} to see what moved.")
    rng = np.random.default_rng(seed)
    reconstruction_N = _reconstruction(reference_ND, sources[0], window_ND, rng)
    score_N = _domain_scores(np.concatenate(sides), np.concatenate(sources), len(reference_ND), rng)
    rank_N = rankdata(score_N)[len(reference_ND) :]
    num_window = len(window_ND)
    auc = (rank_N.sum() - num_window * (num_window + 1) / 2) / (num_window * len(reference_ND))
    domain_score_N = score_N[len(reference_ND) :]
    moved_N = rankdata(domain_score_N) + rankdata(reconstruction_N)
    return Moved(
        frechet_distance(reference_ND, window_ND),
        reconstruction_N,
        domain_score_N,
        float(auc),
        np.argsort(-moved_N, kind="stable"),
    )


def frechet_distance(reference_ND: NDArray[np.floating], window_ND: NDArray[np.floating]) -> float:
    """Squared distance between the Gaussians that fit both sides; grows as samples shrink."""
    mean_D, reference_DD = _gaussian(reference_ND)
    window_mean_D, window_DD = _gaussian(window_ND)
    value_D, vector_DD = linalg.eigh(reference_DD)
    root_DD = (vector_DD * np.sqrt(np.maximum(value_D, 0.0))) @ vector_DD.T
    cross_D = linalg.eigvalsh(root_DD @ window_DD @ root_DD)
    trace = np.trace(reference_DD) + np.trace(window_DD) - 2 * np.sqrt(np.maximum(cross_D, 0.0)).sum()
    return max(0.0, float(np.square(mean_D - window_mean_D).sum() + trace))


def _gaussian(embedding_ND: NDArray[np.floating]) -> tuple[_Floats, _Floats]:
    mean_D = embedding_ND.mean(0, dtype=np.float64)
    centred_ND = embedding_ND - mean_D.astype(embedding_ND.dtype)
    return mean_D, (centred_ND.T @ centred_ND).astype(np.float64) / len(embedding_ND)


def _reconstruction(
    reference_ND: NDArray[np.floating],
    source_N: NDArray[Any],
    window_ND: NDArray[np.floating],
    rng: np.random.Generator,
) -> _Floats:
    is_fitted_N = _folds(source_N, 2, rng) == 0
    mean_D, covariance_DD = _gaussian(reference_ND[is_fitted_N])
    value_D, vector_DD = linalg.eigh(covariance_DD)
    explained_D = np.cumsum(value_D[::-1]) / max(value_D.sum(), np.finfo(float).tiny)
    num_components = int(np.searchsorted(explained_D, _EXPLAINED)) + 1
    component_DC = vector_DD[:, ::-1][:, :num_components].astype(reference_ND.dtype)

    def errors(embedding_ND: NDArray[np.floating]) -> _Floats:
        centred_ND = embedding_ND - mean_D.astype(embedding_ND.dtype)
        error_N: _Floats = np.square(centred_ND).sum(1) - np.square(centred_ND @ component_DC).sum(1)
        return np.maximum(error_N, 0.0)

    usual = float(errors(reference_ND[~is_fitted_N]).mean())
    return errors(window_ND) / (usual or 1.0)


def _domain_scores(
    embedding_ND: NDArray[np.floating], source_N: NDArray[Any], num_reference: int, rng: np.random.Generator
) -> _Floats:
    """Ridge regression to -1 for the reference and 1 for the window, both sides weighing the same, out of fold."""
    is_window_N = np.arange(len(embedding_ND)) >= num_reference
    fold_N = _folds(source_N, _NUM_FOLDS, rng)
    centred_ND = embedding_ND - embedding_ND.mean(0)
    moments = [
        [_Moments.of(centred_ND[(fold_N == f) & on_N]) for on_N in (~is_window_N, is_window_N)]
        for f in range(_NUM_FOLDS)
    ]
    whole = [sum((fold[side] for fold in moments), start=_Moments()) for side in (0, 1)]
    score_N = np.zeros(len(embedding_ND))
    for number, fold in enumerate(moments):
        reference, window = (whole[side] - fold[side] for side in (0, 1))
        if not (reference.num_clips and window.num_clips):
            continue  # all sources of a side are in this fold
        mean_D = (reference.mean + window.mean) / 2
        covariance_DD = (reference.square_DD / reference.num_clips + window.square_DD / window.num_clips) / 2
        covariance_DD = covariance_DD - np.outer(mean_D, mean_D)
        covariance_DD[np.diag_indices_from(covariance_DD)] += _RIDGE * np.trace(covariance_DD) / len(mean_D) + _TINY
        difference_D = (window.mean - reference.mean) / 2
        coefficient_D = linalg.solve(covariance_DD, difference_D, assume_a="pos")
        in_fold_N = fold_N == number
        score_N[in_fold_N] = centred_ND[in_fold_N] @ coefficient_D.astype(centred_ND.dtype) - mean_D @ coefficient_D
    return score_N


@dataclass(frozen=True)
class _Moments:
    """Sums over clips, which folds can be taken out of."""

    num_clips: int = 0
    sum_D: Any = 0.0
    square_DD: Any = 0.0

    @classmethod
    def of(cls, clip_ND: NDArray[np.floating]) -> "_Moments":
        return cls(len(clip_ND), clip_ND.sum(0, dtype=np.float64), (clip_ND.T @ clip_ND).astype(np.float64))

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(self.num_clips + other.num_clips, self.sum_D + other.sum_D, self.square_DD + other.square_DD)

    def __sub__(self, other: "_Moments") -> "_Moments":
        return _Moments(self.num_clips - other.num_clips, self.sum_D - other.sum_D, self.square_DD - other.square_DD)

    @property
    def mean(self) -> Any:
        """Of the clips, shape (D,)."""
        return self.sum_D / self.num_clips


def _folds(source_N: NDArray[Any], num_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each clip, sources kept whole."""
    sources, index_N = np.unique(source_N, return_inverse=True)
    fold_N: NDArray[np.int64] = (rng.permutation(len(sources)) % num_folds)[index_N]
    return fold_N
