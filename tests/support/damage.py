"""What storage, networks and people do to files, at random and reproducibly."""

from collections.abc import Callable

import numpy as np

Damage = Callable[[bytes, np.random.Generator], bytes]
_LIES = (0, 1, 0x7F, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to 32 bits, anywhere."""
    damaged = bytearray(content)
    for at in rng.integers(len(content), size=int(rng.integers(1, 33))):
        damaged[at] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def flip_one_bit(content: bytes, rng: np.random.Generator) -> bytes:
    """The least that can happen."""
    damaged = bytearray(content)
    damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return content[: int(rng.integers(1, len(content)))]


def lie(content: bytes, rng: np.random.Generator) -> bytes:
    """Up to four numbers of the first or the last kilobyte say something else."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = int(rng.choice((1, 2, 4)))
        at = int(rng.integers(min(1024, len(content) - size)))
        at = at if rng.random() < 0.5 else len(content) - size - at
        damaged[at : at + size] = (int(rng.choice(_LIES)) & ((1 << 8 * size) - 1)).to_bytes(size, "big")
    return bytes(damaged)


def drop(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch in the middle is missing."""
    start = int(rng.integers(len(content)))
    return content[:start] + content[start + int(rng.integers(1, 1024)) :]


def insert(content: bytes, rng: np.random.Generator) -> bytes:
    """There is something between that does not belong."""
    at = int(rng.integers(len(content)))
    return content[:at] + rng.bytes(int(rng.integers(1, 1024))) + content[at:]


def zero(content: bytes, rng: np.random.Generator) -> bytes:
    """A stretch was never written."""
    start, size = int(rng.integers(len(content))), int(rng.integers(1, 1024))
    return content[:start] + bytes(len(content[start : start + size])) + content[start + size :]


DAMAGES: dict[str, Damage] = {
    "one bit flipped": flip_one_bit,
    "up to 32 bits flipped": flip_bits,
    "cut off": cut_off,
    "numbers that lie": lie,
    "a stretch missing": drop,
    "a stretch inserted": insert,
    "a stretch of zeros": zero,
}
