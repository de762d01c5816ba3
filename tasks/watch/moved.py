"""The clips that moved, as the diagnostics rank them: they show people what changed, and trigger nothing.

Legend: N clips, D features.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.statistics.diagnostics import diagnose
from tasks.statistics.outcome import Abstained
from tasks.watch.findings import Moved
from tasks.watch.window import Window


def moved_most(window: Window, held_out: Outputs, params: WatchParams, seed: int) -> tuple[Moved, ...]:
    """The clips of the window that moved most from the reference, each beside the clip of that which is nearest."""
    outputs = window.outputs
    found = diagnose(
        held_out.embedding_ND,
        held_out.clips["source_id"].to_numpy(),
        outputs.embedding_ND,
        outputs.clips["source_id"].to_numpy(),
        seed=seed,
    )
    order_N = np.arange(len(window)) if isinstance(found, Abstained) else found.order_N
    nearest = _nearest(held_out)
    return tuple(_moved_clip(outputs, int(at), held_out, nearest) for at in order_N[: params.shown_clips])


def _nearest(held_out: Outputs) -> Callable[[NDArray[np.float32]], int]:
    """Finds the nearest clip of the reference that can be shown."""
    shown_N = np.flatnonzero(held_out.clips["picture"].notna().to_numpy())
    candidates_N = shown_N if len(shown_N) else np.arange(len(held_out.clips))
    candidate_ND = held_out.embedding_ND[candidates_N]
    return lambda embedding_D: int(candidates_N[np.square(candidate_ND - embedding_D).sum(1).argmin()])


def _moved_clip(outputs: Outputs, at: int, held_out: Outputs, nearest: Callable[[NDArray[np.float32]], int]) -> Moved:
    clip, seen = outputs.clips.iloc[at], outputs.part(np.array([at]))
    like = held_out.clips.iloc[nearest(outputs.embedding_ND[at])]
    return Moved(
        clip_id=clip["clip_id"],
        source_id=clip["source_id"],
        at=clip["at"].to_pydatetime(),
        predicted=seen.said()[0],
        confidence=float(seen.confidence()[0]),
        label=clip["label"] if isinstance(clip["label"], str) else None,
        nearest=like["clip_id"],
        nearest_label=like["label"] if isinstance(like["label"], str) else None,
    )
