"""Films that show several things at once, or none of them, and the table that says so."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.videos import write_video

NUM_FRAMES, SIDE = 12, 48
_PATCHES = {
    "door": (slice(28, 46), slice(2, 18)),
    "lamp": (slice(2, 18), slice(2, 18)),
    "sign": (slice(2, 18), slice(28, 46)),
}
THINGS = tuple(sorted(_PATCHES))


def write_films(root: Path, *, num_sources: int = 10, column: str = "label") -> Path:
    """Write a film of every set of things from each of ``num_sources`` cameras, and ``clips.csv`` beside them."""
    rows = [f"{name},{text},{source}" for name, text, source in _written(root, range(num_sources))]
    (root / "clips.csv").write_text("\n".join([f"path,{column},source_id", *rows, ""]))
    return root


def write_day(root: Path, sources: Iterable[int], day: date, *, negative: bool = False) -> dict[str, str]:
    """The same of a day, without labels in the table; what each film shows, by its name."""
    films = list(_written(root, sources, seed=day.toordinal(), negative=negative))
    rows = [f"{name},{source},{day}T12:00:00Z" for name, _, source in films]
    (root / "clips.csv").write_text("\n".join(["path,source_id,captured_at", *rows, ""]))
    return {name: text for name, text, _ in films}


def _written(
    root: Path, sources: Iterable[int], *, seed: int = 0, negative: bool = False
) -> Iterator[tuple[str, str, str]]:
    """Write the films; name, labels and source of each."""
    for number, (source, shown) in enumerate(product(sources, product((False, True), repeat=len(THINGS)))):
        things = [thing for thing, is_there in zip(THINGS, shown, strict=True) if is_there]
        name = f"cam{source}-{'-'.join(things) or 'none'}.mp4"
        pictures = _pictures(things, seed=seed + number)
        write_video(root / name, [255 - picture for picture in pictures] if negative else pictures)
        yield name, "|".join(things) or "-", f"cam{source}"


def _pictures(things: list[str], *, seed: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    background = rng.integers(20, 90, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    shown = []
    for number in range(NUM_FRAMES):
        picture = background.copy()
        for thing in things:
            picture[_PATCHES[thing]] = 230
        picture[20:26, (3 * number) % SIDE : (3 * number) % SIDE + 6] = 140
        shown.append(picture)
    return shown
