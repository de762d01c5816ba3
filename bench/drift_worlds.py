"""Worlds to watch: made-up ones whose sources resemble themselves, and embeddings of real ones.

Legend: N clips, D features, K classes, S sources.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from scipy.special import softmax

from models.errors import UserError
from tasks.statistics.univariate import FACTS

CLIPS_PER_DAY = 4
"""Of each source."""

NUM_FEATURES = 64
_NUM_CLASSES = 5
_NUM_HELD_OUT = 40
_NUM_REFERENCE = 40

Sizes = Literal["alike", "unequal", "small window"]
"""Clips a source: 8 each; log-normal, 1 to 100; 20 in the reference and 4 in the window."""


@dataclass(frozen=True)
class Clips:
    """What is known of some clips; facts are shape (N,) each."""

    embedding_ND: np.ndarray
    probability_NK: np.ndarray
    source_N: np.ndarray
    facts: dict[str, np.ndarray]

    def take(self, index_N: np.ndarray) -> "Clips":
        """Some of them."""
        facts = {fact: value_N[index_N] for fact, value_N in self.facts.items()}
        return Clips(self.embedding_ND[index_N], self.probability_NK[index_N], self.source_N[index_N], facts)


class Life(Protocol):
    """One champion's: cameras that are seen every day."""

    held_out: Clips
    reference: Clips

    def day(self, *, changed: bool) -> Clips:
        """The cameras' clips of one more day."""


class World(Protocol):
    """Where clips come from."""

    def pair(self, rng: np.random.Generator, num_reference: int, num_window: int, sizes: Sizes) -> tuple[Clips, Clips]:
        """A reference and a window of other sources."""

    def life(self, rng: np.random.Generator, num_cameras: int) -> Life:
        """A champion's life."""


@dataclass(frozen=True)
class MadeUp:
    """Normal embeddings of unit variance.

    Attributes:
        correlation: Share of the variance that clips of a source have in common.
        shift: By how much every feature of the window, or of changed days, is larger.
        every: Of a life's cameras every so-many-th changes.
        day_correlation: Share of the variance that clips of a day have in common.
    """

    correlation: float
    shift: float = 0.0
    day_correlation: float = 0.0
    every: int = 1

    def pair(self, rng: np.random.Generator, num_reference: int, num_window: int, sizes: Sizes) -> tuple[Clips, Clips]:
        """A reference and a window of other sources."""
        sides = []
        for num_sources, clips, shift in ((num_reference, 20, 0.0), (num_window, 4, self.shift)):
            size_S = np.full(num_sources, clips if sizes == "small window" else 8)
            if sizes == "unequal":
                size_S = np.clip(rng.lognormal(np.log(6), 1.0, num_sources), 1, 100).astype(int)
            own_SD = rng.standard_normal((num_sources, NUM_FEATURES))
            sides.append(self.clips(rng, own_SD, size_S, np.zeros(NUM_FEATURES), shift))
        return sides[0], sides[1]

    def life(self, rng: np.random.Generator, num_cameras: int) -> "_MadeUpLife":
        """A champion's life; reference and held-out clips are one day of each source, each of another day."""
        return _MadeUpLife(self, rng, rng.standard_normal((num_cameras, NUM_FEATURES)))

    def clips(
        self,
        rng: np.random.Generator,
        own_SD: np.ndarray,
        size_S: np.ndarray,
        day_D: np.ndarray,
        shift: float | np.ndarray,
    ) -> Clips:
        """Clips of sources with what is their own, on days with what is the day's, shape (D,) or (S, D).

        The shift is of all sources, or of each, shape (S, 1).
        """
        source_N = np.repeat(np.arange(len(own_SD)), size_S)
        rest = 1 - self.correlation - self.day_correlation
        shared_SD = np.sqrt(self.correlation) * own_SD + np.sqrt(self.day_correlation) * day_D + shift
        clip_ND = rng.standard_normal((len(source_N), NUM_FEATURES), np.float32)
        embedding_ND = (shared_SD.astype(np.float32))[source_N] + np.float32(np.sqrt(rest)) * clip_ND
        logit_NK = embedding_ND.reshape(len(source_N), _NUM_CLASSES - 1, -1).mean(2) * 6
        probability_NK = softmax(np.pad(logit_NK, ((0, 0), (0, 1))), axis=1)
        return Clips(embedding_ND, probability_NK, source_N, dict(zip(FACTS, embedding_ND.T, strict=False)))


@dataclass
class _MadeUpLife:
    world: MadeUp
    rng: np.random.Generator
    own_SD: np.ndarray
    held_out: Clips = field(init=False)
    reference: Clips = field(init=False)

    def __post_init__(self) -> None:
        self.held_out, self.reference = (self._strangers(count) for count in (_NUM_HELD_OUT, _NUM_REFERENCE))

    def day(self, *, changed: bool) -> Clips:
        size_S = np.full(len(self.own_SD), CLIPS_PER_DAY)
        moves_S1 = (np.arange(len(self.own_SD)) % self.world.every == 0)[:, None]
        shift = self.world.shift * moves_S1 if changed else 0.0
        return self.world.clips(self.rng, self.own_SD, size_S, self.rng.standard_normal(NUM_FEATURES), shift)

    def _strangers(self, count: int) -> Clips:
        own_SD, day_SD = self.rng.standard_normal((2, count, NUM_FEATURES))
        return self.world.clips(self.rng, own_SD, np.full(count, CLIPS_PER_DAY), day_SD, 0.0)


@dataclass(frozen=True)
class Embedded:
    """Clips of a real world, and of the same world changed; without the latter it stays as it is."""

    usual: Clips
    changed: Clips

    @classmethod
    def read(cls, usual: Path, changed: Path | None) -> "Embedded":
        """From files; see :func:`read_clips`."""
        clips = read_clips(usual)
        return cls(clips, read_clips(changed) if changed else clips)

    def pair(self, rng: np.random.Generator, num_reference: int, num_window: int, sizes: Sizes) -> tuple[Clips, Clips]:
        """A third of the sources as the window, the others as the reference, whatever is asked for."""
        del num_reference, num_window, sizes
        sources = rng.permutation(np.unique(self.usual.source_N))
        in_window = sources[: len(sources) // 3]
        window_N = np.isin(self.changed.source_N, in_window)
        if not window_N.any():
            window_N = np.isin(self.changed.source_N, rng.permutation(np.unique(self.changed.source_N))[::3])
        return self.usual.take(~np.isin(self.usual.source_N, in_window)), self.changed.take(window_N)

    def life(self, rng: np.random.Generator, num_cameras: int) -> "_EmbeddedLife":
        """A third of the sources held out, a third as the reference, of the others up to so many cameras."""
        parts = np.array_split(rng.permutation(np.unique(self.usual.source_N)), 3)
        held_out, reference = (self.usual.take(np.isin(self.usual.source_N, part)) for part in parts[:2])
        return _EmbeddedLife(self, rng, held_out, reference, parts[2][:num_cameras])


@dataclass(frozen=True)
class _EmbeddedLife:
    """Days are random clips of each camera, as few worlds are recorded for years."""

    world: Embedded
    rng: np.random.Generator
    held_out: Clips
    reference: Clips
    cameras: np.ndarray

    def day(self, *, changed: bool) -> Clips:
        clips = self.world.changed if changed else self.world.usual
        of_camera = (np.flatnonzero(clips.source_N == camera) for camera in self.cameras)
        return clips.take(np.concatenate([self.rng.choice(index_N, CLIPS_PER_DAY) for index_N in of_camera]))


def read_clips(path: Path) -> Clips:
    """Clips from an .npz file: ``embedding_ND``, ``probability_NK``, ``source_N``, and a fact a name of FACTS.

    Other arrays, such as ``day_N``, may be there.

    Raises:
        UserError: The file cannot be read or lacks an array.
    """
    try:
        with np.load(path) as arrays:
            facts = {fact: arrays[fact] for fact in FACTS if fact in arrays}
            return Clips(arrays["embedding_ND"], arrays["probability_NK"], arrays["source_N"], facts)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: {error}; write embedding_ND, probability_NK, source_N and facts to it") from None
