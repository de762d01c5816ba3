"""Pairs of clips that show the same, wherever one begins in the other, among very many.

Two copies have some word nearly in common. So words are sorted several times, each time with other bits in front, and
those with equal leading bits are compared (Manku, Jain and Sarma 2007, "Detecting near-duplicates for web crawling").
Where one pair of words agrees, it says how the clips would lie on each other, and all their words are compared there.
Time and memory grow with the number of words (times its logarithm), whatever the clips show: where too many words begin
alike, each is compared with its nearest only, and copies are nearest to each other.

W words, P pairs of words or clips.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.twins.kept import Prints
from tasks.twins.prints import STEP_S

_BITS = 64
_TURNS = range(0, _BITS, 8)
_NEIGHBOURS = 16
_FEWEST_LEADING, _MOST_LEADING = 14, 28
# Half a second and three steps: what remains of two seconds without one has five.
_LEAST_WORDS = 4
_LEAST_SHARE = 0.5
_WORDS_AT_ONCE = 1 << 22

_COLUMNS = ["first", "second", "distance", "shift_s", "words"]


def near_copies(prints: Prints, distance: float) -> pd.DataFrame:
    """Find the pairs of clips of which one shows what the other shows.

    Two clips are copies when, lying on each other in some way, their words differ in at most ``distance`` bits on
    average, in what moves and in what stands; at least four words, and half of those in which anything moves in the one
    of the two that has fewer, have to lie on each other. Clips in which nothing moves are copies of none.

    Args:
        prints: Of the clips.
        distance: Bits of 64.

    Returns:
        One row a pair, nearest first: ``first`` and ``second`` (positions of the clips, the lower first), ``distance``
        in bits of what moves, ``shift_s`` (how many seconds of the first come before the second begins; negative where
        it is the other way round) and ``words`` (how many were compared).
    """
    lying = pd.concat([_lying(prints, turn, distance) for turn in _TURNS]).drop_duplicates()
    pieces = np.cumsum(np.minimum(*(prints.num_words[lying[name]] for name in ("first", "second")))) // _WORDS_AT_ONCE
    found = [_compared(prints, piece) for _, piece in lying.groupby(pieces, sort=False)]
    if not found:
        return pd.DataFrame({name: [] for name in _COLUMNS})
    pairs = pd.concat(found)
    pairs = pairs[(pairs["distance"] <= distance) & (pairs["still_distance"] <= distance)]
    pairs = pairs.sort_values(["distance", "first", "second", "shift"]).drop_duplicates(["first", "second"])
    return pairs.assign(shift_s=pairs["shift"] * STEP_S).reset_index(drop=True)[_COLUMNS]


def _lying(prints: Prints, turn: int, distance: float) -> pd.DataFrame:
    """How clips might lie on each other: pairs of clips and, in words, how much earlier the first begins."""
    clips = np.repeat(np.arange(len(prints.starts_C) - 1), prints.num_words)
    moving_W = np.flatnonzero(prints.moves_W)
    pairs = [np.empty((0, 2), np.int64), *_alike(prints.motion_W[moving_W], turn, distance)]
    words_P2 = moving_W[np.concatenate(pairs)]
    words_P2.sort(axis=1)  # clips follow each other, so the lower word is of the lower clip
    first_P, second_P = clips[words_P2].T
    place_P2 = words_P2 - prints.starts_C[clips[words_P2]]
    lying = pd.DataFrame({"first": first_P, "second": second_P, "shift": place_P2[:, 0] - place_P2[:, 1]})
    return lying[lying["first"] != lying["second"]].drop_duplicates()


def _alike(words_W: NDArray[np.uint64], turn: int, distance: float) -> Iterator[NDArray[np.int64]]:
    """Positions of words that begin alike, ``turn`` bits further on, and differ in few bits altogether."""
    # So many leading bits that two words by chance begin alike about as often as there are words.
    leading = int(np.clip(np.ceil(np.log2(max(len(words_W), 1))), _FEWEST_LEADING, _MOST_LEADING))
    turned_W = words_W << np.uint64(turn) | words_W >> np.uint64((_BITS - turn) % _BITS) if turn else words_W
    order_W = np.argsort(turned_W, kind="stable")
    sorted_W = turned_W[order_W]
    begins_W = sorted_W >> np.uint64(_BITS - leading)
    for lag in range(1, min(_NEIGHBOURS + 1, len(words_W))):
        alike_P = np.flatnonzero(begins_W[lag:] == begins_W[:-lag])
        if not len(alike_P):
            return
        alike_P = alike_P[np.bitwise_count(sorted_W[alike_P + lag] ^ sorted_W[alike_P]) <= distance]
        yield np.stack([order_W[alike_P], order_W[alike_P + lag]], axis=1)


def _compared(prints: Prints, lying: pd.DataFrame) -> pd.DataFrame:
    """``lying`` with the mean distances of the words that lie on each other, where enough do."""
    first_P, second_P, shift_P = (lying[name].to_numpy() for name in ("first", "second", "shift"))
    begin_P = np.maximum(shift_P, 0)
    num_P = np.minimum(prints.num_words[first_P], prints.num_words[second_P] + shift_P) - begin_P
    pair_W = np.repeat(np.arange(len(lying)), num_P)
    step_W = np.arange(len(pair_W)) - np.repeat(np.cumsum(num_P) - num_P, num_P)
    first_W = (prints.starts_C[first_P] + begin_P)[pair_W] + step_W
    second_W = (prints.starts_C[second_P] + begin_P - shift_P)[pair_W] + step_W
    both_W = prints.moves_W[first_W] & prints.moves_W[second_W]
    pair_W, first_W, second_W = pair_W[both_W], first_W[both_W], second_W[both_W]
    words_P = np.bincount(pair_W, minlength=len(lying))

    def mean(words_W: NDArray[np.uint64]) -> NDArray[np.float64]:
        bits_W = np.bitwise_count(words_W[first_W] ^ words_W[second_W])
        return np.bincount(pair_W, bits_W, len(lying)) / np.maximum(words_P, 1)

    moving_C = prints.num_moving
    fewer_P = np.minimum(moving_C[first_P], moving_C[second_P])
    compared = lying.assign(distance=mean(prints.motion_W), still_distance=mean(prints.still_W), words=words_P)
    enough: pd.DataFrame = compared[words_P >= np.maximum(_LEAST_WORDS, _LEAST_SHARE * fewer_P)]
    return enough
