"""A few numbers for each day of each source, from equally many clips each.

Legend: N clips, D features, C components, V numbers a source-day.

They are the means of whitened principal components, and the mean energy (log) within them and outside, so that a change
of place, of spread, or into directions that the components do not span all show. Components and scales are fitted on
clips that are neither of the reference nor ever of a window, such as those that the champion trained on: the embedding
is of a frozen backbone, which treats them like any others. Fitted on the reference they would fit it better than what
comes.

Means of fewer clips scatter more and would look strange for that, so each source-day gives exactly as many clips, drawn
at random, and those with fewer are set aside.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from models.errors import UserError
from tasks.statistics.outcome import finite

_TINY = 1e-12
_ROUNDING = 1e-6
_DIGITS = 3
_MIN_SOURCES = 5

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SourceDay:
    """One day of one source.

    Attributes:
        source: Its source.
        day: Its day, in a form that sorts by time, such as 2026-11-05.
        vector: V numbers; those of different source-days can be compared.
    """

    source: str
    day: str
    vector: tuple[float, ...]


@dataclass(frozen=True)
class Projection:
    """From embeddings to the numbers of a source-day.

    Attributes:
        mean_D: Mean embedding.
        component_DC: Principal components.
        spread_C: Standard deviation of clips along each.
        centre_V: Mean of the numbers over sources.
        scale_V: Their standard deviation over sources; 0 where a number says nothing.
        clips_per_unit: Clips that each source-day gives.
    """

    mean_D: _Floats
    component_DC: _Floats
    spread_C: _Floats
    centre_V: _Floats
    scale_V: _Floats
    clips_per_unit: int


def fit_projection(
    held_out_ND: ArrayLike,
    held_out_sources: Sequence[Any] | NDArray[Any],
    *,
    clips_per_unit: int,
    num_components: int = 128,
    seed: int = 0,
) -> Projection:
    """Fit on clips that are neither of the reference nor of any window.

    Args:
        held_out_ND: Their embeddings.
        held_out_sources: The source of each.
        clips_per_unit: Clips that each source-day gives: about as many as a source shows on a slow day.
        num_components: Principal components to keep.
        seed: Of the choice of clips.

    Raises:
        UserError: An embedding is not finite, there are too few sources, or all clips are the same.
    """
    held_out_ND = finite(held_out_ND, "embedding of held-out clips").astype(np.float64)
    sources_N = np.asarray(held_out_sources)
    if len(np.unique(sources_N)) < _MIN_SOURCES:
        raise UserError(f"held-out clips are of fewer than {_MIN_SOURCES} sources; give clips of more")
    mean_D = held_out_ND.mean(0)
    centred_ND = held_out_ND - mean_D
    value_D, vector_DD = linalg.eigh(centred_ND.T @ centred_ND / len(centred_ND))
    if value_D[-1] <= _TINY:
        raise UserError("held-out clips all have the same embedding; give others")
    num_components = min(num_components, int((value_D > _TINY * value_D[-1]).sum()))
    spread_C = np.sqrt(value_D[::-1][:num_components])
    num_numbers = num_components + 2
    plain = Projection(
        mean_D,
        np.ascontiguousarray(vector_DD[:, ::-1][:, :num_components]),
        spread_C,
        np.zeros(num_numbers),
        np.ones(num_numbers),
        clips_per_unit,
    )
    units, _ = source_days(plain, held_out_ND, sources_N, np.zeros(len(sources_N), int), seed=seed)
    if len(units) < _MIN_SOURCES:
        raise UserError(
            f"fewer than {_MIN_SOURCES} held-out sources have {clips_per_unit} clips; lower the clips of a source-day"
        )
    vector_UV = np.array([unit.vector for unit in units])
    scale_V = vector_UV.std(0)
    scale_V[scale_V < _TINY**0.5] = 0.0
    return Projection(
        plain.mean_D, plain.component_DC, plain.spread_C, vector_UV.mean(0), scale_V, plain.clips_per_unit
    )


def source_days(
    projection: Projection,
    embedding_ND: ArrayLike,
    sources: Sequence[Any] | NDArray[Any],
    days: Sequence[Any] | NDArray[Any],
    *,
    seed: int = 0,
) -> tuple[list[SourceDay], int]:
    """The source-days of some clips, by day and source.

    Only days that are over should be given: a source-day counts once, with the clips that it has by then.

    Args:
        projection: Fitted on other clips.
        embedding_ND: Embeddings by the same backbone.
        sources: The source of each clip.
        days: The day of each clip.
        seed: Of the choice of clips.

    Returns:
        The source-days, and how many were set aside as they have too few clips.

    Raises:
        UserError: An embedding is not finite or of another backbone.
    """
    embedding_ND = finite(embedding_ND, "embedding")
    if len(embedding_ND) and embedding_ND.shape[1:] != projection.mean_D.shape:
        raise UserError(
            f"embedding: the projection is of {len(projection.mean_D)} features and the clips have "
            f"{embedding_ND.shape[1:]}; another backbone made it: make the reference anew"
        )
    clips_of: dict[tuple[str, str], list[int]] = {}
    for index, (source, day) in enumerate(zip(sources, days, strict=True)):
        clips_of.setdefault((str(day), str(source)), []).append(index)
    units, num_set_aside = [], 0
    for (day, source), clips in sorted(clips_of.items()):
        if len(clips) < projection.clips_per_unit:
            num_set_aside += 1
            continue
        chosen = random_of(seed, source, day).permutation(clips)[: projection.clips_per_unit]
        units.append(SourceDay(source, day, _vector(projection, embedding_ND[chosen].astype(np.float64))))
    return units, num_set_aside


def random_of(seed: int, *names: str) -> np.random.Generator:
    """A generator that depends on nothing but a seed and names, such as a source and a day."""
    digest = hashlib.sha256("\n".join((str(seed), *names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


def _vector(projection: Projection, embedding_ND: _Floats) -> tuple[float, ...]:
    centred_ND = embedding_ND - projection.mean_D
    along_NC = centred_ND @ projection.component_DC
    whitened_NC = along_NC / projection.spread_C
    outside = (np.square(centred_ND).sum() - np.square(along_NC).sum()) / len(centred_ND)
    # Where components span everything, what is outside is rounding: the floor makes it one and the same.
    floor = _ROUNDING * np.square(projection.spread_C).sum()
    energies = np.square(whitened_NC).mean(), outside
    raw_V = np.concatenate((whitened_NC.mean(0), np.log(np.maximum(energies, (_ROUNDING, floor)))))
    scaled_V = np.divide(
        raw_V - projection.centre_V, projection.scale_V, out=np.zeros_like(raw_V), where=projection.scale_V > 0
    )
    return tuple(round(float(value), _DIGITS) for value in scaled_V)
