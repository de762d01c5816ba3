"""Which sources of a window the champion was trained or tested on, and how many clips a labelled one stands for.

Legend: N clips.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.labelling.outputs import Outputs


def splits_of_sources(reference: Outputs) -> dict[str, str]:
    """What each source of the dataset that made the champion was for.

    Args:
        reference: Of the champion, with the column ``split``.

    Returns:
        By source ``train`` where any of its clips was trained on, ``test`` where all were tested on, else ``val``.
    """
    splits = reference.clips.groupby("source_id")["split"].agg(set)
    return {str(source): _split_of(found) for source, found in splits.items()}


def _split_of(splits: set[str]) -> str:
    if "train" in splits:
        return "train"
    return "test" if splits == {"test"} else "val"


def unseen(outputs: Outputs, splits: Mapping[str, str]) -> NDArray[np.bool_]:
    """Clips of sources that were not trained on, shape (N,): held out, or not in the dataset."""
    unseen_N: NDArray[np.bool_] = (outputs.clips["source_id"].map(dict(splits)) != "train").to_numpy()
    return unseen_N


def may_teach(outputs: Outputs, splits: Mapping[str, str]) -> NDArray[np.bool_]:
    """Clips that a round would train on once they are labelled, shape (N,): of sources that train, or are new."""
    teach_N: NDArray[np.bool_] = (~outputs.clips["source_id"].map(dict(splits)).isin(["val", "test"])).to_numpy(bool)
    return teach_N


def stands_for(clips: pd.DataFrame, labelled_N: NDArray[np.bool_], splits: Mapping[str, str]) -> NDArray[np.float64]:
    """How many clips each labelled one stands for, shape (N,), 0 where its label says nothing about accuracy.

    A request draws more than their share from sources of the test, so that these and the others are the strata
    (post-stratification; Holt & Smith 1979, JRSS A 142:33-46). It draws from what has no label yet, without those clips
    that the champion was unsure of and earlier requests chose. So each draw gives one estimate: labels that were asked
    for before count for themselves, and those drawn stand for the rest (Des Raj 1956, JASA 51:269-284; for labels that
    a model chooses Farquhar et al. 2021, 2101.11665). The estimates are averaged by the size of their draws.

    Args:
        clips: Of the window, or of a part of it; columns ``source_id``, ``measures`` and ``asked``.
        labelled_N: Those with a label.
        splits: From :func:`splits_of_sources`.
    """
    if labelled_N.all():
        return np.ones(len(clips))
    is_test_N = (clips["source_id"].map(dict(splits)) == "test").to_numpy()
    measures_N, asked_N = clips["measures"].to_numpy(bool), clips["asked"].to_numpy(int)
    weight_N = np.zeros(len(clips))
    for stratum_N in (is_test_N, ~is_test_N):
        drawn_N = stratum_N & labelled_N & measures_N
        for number in np.unique(asked_N[drawn_N]):
            of_draw_N, before_N = drawn_N & (asked_N == number), stratum_N & labelled_N & (asked_N < number)
            share = of_draw_N.sum() / drawn_N.sum()
            weight_N[before_N] += share
            weight_N[of_draw_N] += share * (stratum_N.sum() - before_N.sum()) / of_draw_N.sum()
    return weight_N
