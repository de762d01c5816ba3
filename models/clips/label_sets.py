"""Clips that show several things at once, or none of what is looked for.

In a multi-label dataset the manifest's ``label`` is a clip's whole set as text, ``run|walk``, or ``-`` where somebody
said that it shows none of the labels; a clip of which nobody said anything has no label, as ever. So two clips have the
same ``label`` where they have the same labels. The column ``labels`` has the same as a list; that it is there says that
the dataset is multi-label.

Legend: N clips, K labels.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SEPARATOR = "|"
NOTHING = "-"
"""A clip that shows none of the labels: somebody looked, unlike at a clip without a label."""


def written(labels: Iterable[str]) -> str:
    """A set of labels as text, the same for the same set."""
    return SEPARATOR.join(sorted(set(labels))) or NOTHING


def labels_in(text: str) -> tuple[str, ...]:
    """The labels of a set, in order of their names."""
    return () if text == NOTHING else tuple(text.split(SEPARATOR))


def is_multi_label(clips: pd.DataFrame) -> bool:
    """Whether clips of this table, rows of a manifest, may have several labels each."""
    return "labels" in clips


def with_lists(clips: pd.DataFrame) -> pd.DataFrame:
    """``clips`` as a multi-label table: with column ``labels``, which says what ``label`` says."""
    lists = [list(labels_in(text)) if isinstance(text, str) else None for text in clips["label"]]
    return clips.assign(labels=pd.Series(lists, clips.index, dtype=object))


def one_row_a_label(clips: pd.DataFrame, *, nothing: bool = False) -> pd.DataFrame:
    """The labelled clips with one label in each row: a clip with three labels is there three times.

    A table that is not multi-label has that already.

    Args:
        clips: Rows of a manifest.
        nothing: Whether clips that show none of the labels are kept, as of the label :data:`NOTHING`.
    """
    labelled = clips[clips["label"].notna()]
    if not is_multi_label(clips):
        return labelled
    sets = [list(labels_in(text)) or ([NOTHING] if nothing else []) for text in labelled["label"]]
    rows = labelled.assign(label=pd.Series(sets, labelled.index, dtype=object)).explode("label")
    return rows[rows["label"].notna()].astype({"label": "str"})


def wanted_of(clips: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which clip shows what, shape (N, K), in the order of ``labels``; labels that are not among these are left out."""
    index_of = {label: index for index, label in enumerate(labels)}
    wanted_NK = np.zeros((len(clips), len(labels)), dtype=bool)
    for row, text in enumerate(clips["label"]):
        if isinstance(text, str):
            wanted_NK[row, [index_of[label] for label in labels_in(text) if label in index_of]] = True
    return wanted_NK


def texts_of(has_NK: NDArray[np.bool_], labels: Sequence[str]) -> list[str]:
    """The set of each clip as text, where ``has_NK`` says which of ``labels`` it has."""
    return [written(label for label, has in zip(labels, has_K, strict=True) if has) for has_K in has_NK.tolist()]


def probability_of_sets(has_NK: NDArray[np.bool_], probability_NK: NDArray[np.floating]) -> NDArray[np.floating]:
    """The probability that a clip has exactly the labels that ``has_NK`` says, were they independent of each other."""
    found_N: NDArray[np.floating] = np.where(has_NK, probability_NK, 1.0 - probability_NK).prod(1)
    return found_N


def rarest_label(clips: pd.DataFrame) -> "pd.Series[str]":
    """Of each clip's labels the one that the fewest clips have; of a table that is not multi-label, its label."""
    if not is_multi_label(clips):
        return clips["label"]
    num_clips = one_row_a_label(clips)["label"].value_counts().to_dict()
    rarest = {
        text: min(labels_in(text), key=lambda label: (num_clips[label], label), default=NOTHING)
        for text in clips["label"].dropna().unique()
    }
    return clips["label"].map(rarest)


def known_to(clips: pd.DataFrame, labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which of ``clips`` are labelled with nothing but ``labels``."""
    if not is_multi_label(clips):
        return clips["label"].isin(labels).to_numpy(bool)
    return are_sets_of(clips["label"], labels)


def are_sets_of(texts: "pd.Series[str]", labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which of ``texts``, some of which may be missing, are sets of nothing but ``labels``."""
    known = {text: set(labels_in(text)) <= set(labels) for text in texts.dropna().unique()}
    return np.array([known.get(text, False) for text in texts], dtype=bool)
