"""A memory of earlier clips: which of them are trained on again, so that they are not forgotten.

Clips are drawn at random, but evenly over classes (as GDumb does, Prabhu et al. 2020, ECCV) and over the sources of
each. Random memories do as well as those chosen by their features (Chaudhry et al. 2019, arXiv:1902.10486); herding
(Rebuffi et al. 2017, arXiv:1611.07725) would run the backbone over every clip that there ever was.
"""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Collection

import pandas as pd


def rehearsed(clips: pd.DataFrame, known: Collection[str], size: int, *, seed: int) -> pd.DataFrame:
    """The clips to train on: those that are new, and a memory of those that are known.

    Args:
        clips: Columns ``clip_id``, ``label``, ``source_id``.
        known: Ids of the clips that are known.
        size: Of the memory.
        seed: Of the draw.

    Returns:
        Rows of ``clips`` in their order; all of them where none is new.
    """
    is_known = clips["clip_id"].isin(known)
    if is_known.all():
        return clips
    return clips[~is_known | clips["clip_id"].isin(draw_memory(clips[is_known], size, seed=seed))]


def draw_memory(clips: pd.DataFrame, size: int, *, seed: int) -> list[str]:
    """Ids of at most ``size`` clips, balanced over classes and, within each, over sources.

    One by one: of the class with the fewest so far, from the source with the fewest of that class, then with the fewest
    in all. So a larger memory holds every smaller one, and which clips there are decides the draw, not their order.
    """
    waiting = _by_class_and_source(clips, seed)
    of_class: Counter[str] = Counter()
    of_source: Counter[str] = Counter()
    of_both: Counter[tuple[str, str]] = Counter()
    drawn: list[str] = []
    while waiting and len(drawn) < size:
        label = min(waiting, key=lambda each: of_class[each])
        sources = waiting[label]
        source = min(sources, key=lambda each: (of_both[label, each], of_source[each]))
        drawn.append(sources[source].popleft())
        of_class[label] += 1
        of_source[source] += 1
        of_both[label, source] += 1
        if not sources[source]:
            del sources[source]
        if not sources:
            del waiting[label]
    return drawn


def _by_class_and_source(clips: pd.DataFrame, seed: int) -> dict[str, dict[str, deque[str]]]:
    """Queues of clips, all in an order that is drawn: among equals the first is taken."""

    def shuffled(names: Collection[str], where: str = "") -> list[str]:
        return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{where}:{name}".encode()).digest())

    groups: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for clip_id, label, source in clips[["clip_id", "label", "source_id"]].itertuples(index=False):
        groups[label][source].append(clip_id)
    return {
        label: {source: deque(shuffled(groups[label][source])) for source in shuffled(groups[label], label)}
        for label in shuffled(groups)
    }
