"""Which clips are most worth a person's time.

Legend: N clips to choose from, M labelled clips, D features, K classes or labels, S sources, B chosen.

A clip is worth asking about where the model is unsure (margin, Scheffer et al. 2001; or entropy, both in Settles 2009,
"Active Learning Literature Survey") and where nothing like it has been asked or labelled. Both at once is weighted
k-means++ seeding (Arthur & Vassilvitskii 2007): clips are drawn one after the other with probability proportional to
``(uncertainty x distance to the nearest chosen or labelled clip) ** 2``. That is BADGE (Ash et al. 2020, 1906.03671)
with the gradient's length apart from its direction, so that what is labelled already repels too; CLUE (Prabhu et al.
2021, 2010.08666) weighs by uncertainty likewise for a world that shifted. Farthest-first choice (k-center) was left
aside: it asks for outliers first.

Where a clip may have several labels, the margin is that between yes and no to the label that the model is least sure of
(Brinker 2006, "On Active Learning in Multi-label Classification"), and entropy the mean over labels. The probability
that all labels are right would not tell clips apart: with many labels it is near zero for all.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import UserError

# A model that is wholly sure, as of a world it never saw, is still asked about: uncertainty never vanishes.
_LEAST_UNCERTAINTY = 1e-3
# Squared distance of unit vectors below which two clips show the same.
_SAME = 1e-5
_ROWS_AT_A_TIME = 8192

_Floats = NDArray[np.float32]


def choose(
    embedding_ND: NDArray[np.floating],
    probability_NK: NDArray[np.floating],
    source_N: ArrayLike,
    *,
    budget: int,
    labelled_MD: NDArray[np.floating] | None = None,
    per_source: int | None = None,
    uncertainty: Literal["margin", "entropy"] = "margin",
    several: bool = False,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Choose at most ``budget`` clips.

    There are fewer where clips run out: those that look exactly like a chosen or labelled one are not asked about, and
    no source gives more than its share. The same rows in the same order give the same choice.

    Args:
        embedding_ND: Of clips without a label; their direction counts, not their length.
        probability_NK: What the model makes of them.
        source_N: Where they come from.
        budget: Clips that people will look at.
        labelled_MD: Embeddings of labelled clips.
        per_source: Clips of one source, at most; by default twice the even share, or more where sources are too few or
            too small to fill the budget.
        uncertainty: ``margin`` of the two most probable classes, or ``entropy``.
        several: Whether a clip may have any number of the labels, so that each has a yes and a no of its own.
        seed: Of the drawing.

    Returns:
        Indices of the chosen clips, in the order in which they were drawn.

    Raises:
        UserError: An embedding or a probability is not a finite number.
        ValueError: Shapes do not fit, or ``budget`` or ``per_source`` is less than one.
    """
    _, source_N = np.unique(np.asarray(source_N), return_inverse=True)
    labelled_MD = np.empty((0, embedding_ND.shape[1])) if labelled_MD is None else labelled_MD
    _check(embedding_ND, probability_NK, source_N, labelled_MD, budget, per_source, 1 if several else 2)
    left_S = np.bincount(source_N)
    left_S = np.minimum(left_S, _share(left_S, budget) if per_source is None else per_source)
    unit_ND, rng = _unit(embedding_ND), np.random.default_rng(seed)
    unsure_N = (_uncertainty_of_labels if several else _uncertainty)(probability_NK.astype(np.float64), uncertainty)
    worth_N = np.maximum(unsure_N, _LEAST_UNCERTAINTY) ** 2
    nearest_N = _nearest(unit_ND, _unit(labelled_MD))
    chosen: list[int] = []
    while len(chosen) < budget:
        weight_N = np.where((nearest_N > _SAME) & (left_S[source_N] > 0), worth_N * nearest_N, 0.0)
        reach_N = weight_N.cumsum()
        if not len(reach_N) or reach_N[-1] <= 0.0:
            break
        # The draw lies below the end, so the clip found has a weight.
        drawn = int(np.searchsorted(reach_N, rng.random() * reach_N[-1], side="right"))
        chosen.append(drawn)
        left_S[source_N[drawn]] -= 1
        np.minimum(nearest_N, _distance(unit_ND, unit_ND[drawn : drawn + 1]), out=nearest_N)
        nearest_N[drawn] = 0.0
    return np.array(chosen, np.int64)


def _check(
    embedding_ND: NDArray[np.floating],
    probability_NK: NDArray[np.floating],
    source_N: NDArray[Any],
    labelled_MD: NDArray[np.floating],
    budget: int,
    per_source: int | None,
    least_classes: int,
) -> None:
    num_clips = len(embedding_ND)
    if len(probability_NK) != num_clips or len(source_N) != num_clips or probability_NK.shape[1] < least_classes:
        raise ValueError(f"{embedding_ND.shape}, {probability_NK.shape} and {source_N.shape} do not fit")
    if embedding_ND.shape[1] != labelled_MD.shape[1]:
        raise ValueError(f"{embedding_ND.shape[1]} and {labelled_MD.shape[1]} features")
    if budget < 1 or (per_source is not None and per_source < 1):
        raise ValueError(f"a budget of {budget} clips, {per_source} a source")
    for values, what in ((embedding_ND, "embedding"), (probability_NK, "probability"), (labelled_MD, "embedding")):
        if bad := int((~np.isfinite(values).all(1)).sum()):
            raise UserError(
                f"{what} of {bad} of {len(values)} clips is not a finite number; run the model on them again"
            )


def _share(clips_S: NDArray[np.int64], budget: int) -> int:
    """Twice the even share, or the least with which the budget can be filled."""
    share = -(-2 * budget // max(len(clips_S), 1))
    while np.minimum(clips_S, share).sum() < min(budget, clips_S.sum()):
        share += 1
    return share


def _uncertainty(probability_NK: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    if kind == "margin":
        second_N, first_N = np.partition(probability_NK, -2, axis=1)[:, -2:].T
        margin: NDArray[np.float64] = 1.0 - (first_N - second_N)
        return margin
    logs_NK = np.log(np.maximum(probability_NK, np.finfo(np.float64).tiny))
    entropy: NDArray[np.float64] = -(probability_NK * logs_NK).sum(1) / np.log(probability_NK.shape[1])
    return entropy


def _uncertainty_of_labels(probability_NK: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """The same of yes and no to each label: that of the least sure label, or the mean entropy."""
    of_label_KN = [
        _uncertainty(np.stack([probability_N, 1.0 - probability_N], axis=1), kind) for probability_N in probability_NK.T
    ]
    unsure_N: NDArray[np.float64] = np.max(of_label_KN, axis=0) if kind == "margin" else np.mean(of_label_KN, axis=0)
    return unsure_N


def _unit(embedding_XD: NDArray[np.floating]) -> _Floats:
    """Rows of length one; one more feature makes rows of zeros equal to each other and to nothing else."""
    length_X = np.linalg.norm(embedding_XD, axis=1)
    unit_XD = np.empty((len(embedding_XD), embedding_XD.shape[1] + 1), np.float32)
    np.divide(embedding_XD, np.where(length_X > 0.0, length_X, 1.0)[:, None], out=unit_XD[:, :-1], casting="same_kind")
    unit_XD[:, -1] = length_X == 0.0
    return unit_XD


def _nearest(unit_ND: _Floats, labelled_MD: _Floats) -> NDArray[np.float32]:
    """Squared distance to the nearest labelled clip; the same for all where there is none."""
    nearest_N = np.full(len(unit_ND), 4.0, np.float32)
    if len(labelled_MD):
        for start in range(0, len(unit_ND), _ROWS_AT_A_TIME):
            rows = slice(start, start + _ROWS_AT_A_TIME)
            for first in range(0, len(labelled_MD), _ROWS_AT_A_TIME):
                found_N = _distance(unit_ND[rows], labelled_MD[first : first + _ROWS_AT_A_TIME])
                nearest_N[rows] = np.minimum(nearest_N[rows], found_N)
    return nearest_N


def _distance(unit_ND: _Floats, others_XD: _Floats) -> NDArray[np.float32]:
    """Squared distance of each row to the nearest of ``others_XD``; rows have length one."""
    similarity_N = (unit_ND @ others_XD.T).max(1)
    distance_N: NDArray[np.float32] = np.maximum(2.0 - 2.0 * similarity_N, np.float32(0.0))
    return distance_N
