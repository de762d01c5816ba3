"""The window: which clips a watch looks at, and what the champion makes of them."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import UserError
from tasks.labelling.outputs import Outputs
from tasks.labelling.request import asked_in, chosen_in
from tasks.params.watch import WatchParams
from tasks.watch.champion import Champion
from tasks.watch.incoming import came_in, seen_by
from tasks.watch.memory import day_of
from tasks.watch.outputs import FACTS
from tasks.watch.place import requests_folder
from tasks.watch.served import served_outputs, together


@dataclass(frozen=True)
class Window:
    """Clips of some days.

    Attributes:
        champion: Whose eyes it is seen with.
        outputs: What the champion makes of them; ``clips`` has the manifest's columns, ``at``, ``day``, ``is_over``
            (whether the sequential test may look at the day), ``group``, ``measures`` (whether its label, if it has
            one, may stand for other clips) and ``asked`` (the number of the first request about it, 0 for none).
        notes: What a person should know, such as clips that were left out.
        key: Identity of the watch.
    """

    champion: Champion
    outputs: Outputs
    notes: tuple[str, ...]
    key: str

    def __len__(self) -> int:
        return len(self.outputs.clips)


def since_change(outputs: Outputs, since: str | None) -> Outputs:
    """Clips of the days since a change; all of them where that is not known, or over for longer than they go back."""
    if since is None:
        return outputs
    is_since_N = (outputs.clips["day"] >= since).to_numpy(bool)
    return outputs.part(is_since_N) if is_since_N.any() else outputs


def before_change(outputs: Outputs, since: str | None) -> Outputs:
    """Clips of the days before a change; none where that is not known."""
    is_before_N = (outputs.clips["day"] < since).to_numpy(bool) if since else np.zeros(len(outputs.clips), bool)
    return outputs.part(is_before_N)


def in_groups(outputs: Outputs, groups: Collection[str]) -> Outputs:
    """Clips of some groups; all of them where none is named."""
    return outputs.part(outputs.clips["group"].isin(list(groups)).to_numpy(bool)) if groups else outputs


def window_of(
    champion: Champion,
    reference: Outputs,
    params: WatchParams,
    now: datetime,
    notes: Sequence[str],
    served: pd.DataFrame | None = None,
) -> Window:
    """The clips of the last days that the champion has not trained on, as it sees them.

    Args:
        champion: Whose eyes it is seen with.
        reference: Of this champion; its clips are left out.
        params: Section ``watch``.
        now: The moment of the watch.
        notes: What is known to be told already.
        served: Predictions that the service logged; see :func:`tasks.watch.served.served_outputs`.

    Raises:
        UserError: Incoming video or its labels cannot be read.
    """
    clips, notes = came_in(champion, now), list(notes)
    wanted_N = _wanted(clips, champion, reference, params, now, notes)
    outputs = seen_by(champion, clips[wanted_N].sort_values("clip_id"))
    if served is not None and len(served):
        answered = served_outputs(champion, served)
        outputs = together(outputs, answered.part(_wanted(answered.clips, champion, reference, params, now, notes)))
    if len(outputs.clips):
        facts_ND = outputs.clips[list(FACTS)].to_numpy(np.float64)
        sound_N = np.isfinite(np.concatenate([outputs.embedding_ND, outputs.probability_NK, facts_ND], axis=1)).all(1)
        if not sound_N.all():
            notes.append(f"{(~sound_N).sum()} clips are left out, as the champion's answer to them is not finite")
            outputs = outputs.part(sound_N)
    clips = outputs.clips
    days = day_of(list(clips["at"]))
    today = f"{now:%Y-%m-%d}"
    clips = clips.assign(
        day=pd.Series(days, dtype=object, index=clips.index),
        # A day that is not over would be counted with the clips that it has by now.
        is_over=[day < today or not timed for day, timed in zip(days, clips["timed"], strict=True)],
        group=[group_of(source, params) for source in clips["source_id"]],
        measures=may_measure(clips["clip_id"]),
        asked=clips["clip_id"].map(asked_in(requests_folder())).fillna(0).astype(int),
    )
    return Window(champion, replace(outputs, clips=clips), tuple(notes), _key(champion, clips, params, today))


def _wanted(
    clips: pd.DataFrame,
    champion: Champion,
    reference: Outputs,
    params: WatchParams,
    now: datetime,
    notes: list[str],
) -> NDArray[np.bool_]:
    late = clips["at"] > now
    if late.any():
        notes.append(f"{late.sum()} clips say that they were recorded after this watch; the clock of a source is wrong")
    recent = ~late & (clips["at"] > now - timedelta(days=params.window_days))
    known = clips["clip_id"].isin({*champion.clip_ids, *reference.clips["clip_id"]})
    if (recent & known).any():
        notes.append(f"{(recent & known).sum()} clips are left out, as they are in the dataset that made the champion")
    wanted_N: NDArray[np.bool_] = (recent & ~known).to_numpy(bool)
    return wanted_N


def may_measure(clip_ids: "pd.Series[str]") -> "pd.Series[bool]":
    """Which clips' labels may measure a champion that was made without them.

    Where a champion was unsure it is wrong more often: labels that were asked for because of that do not measure.
    """
    return ~clip_ids.isin(list(chosen_in(requests_folder())))


def group_of(source: str, params: WatchParams) -> str:
    """The group of a source: the first whose pattern fits, else itself."""
    return next((group for pattern, group in params.groups.items() if fnmatchcase(source, pattern)), source)


def demand_variety(window: Window) -> None:
    """Check that there is something to see.

    Raises:
        UserError: There are no clips, or all of them look the same.
    """
    if not len(window):
        raise UserError("the window has no clips; see where incoming video lies, and whether its cameras record")
    if len(window) > 1 and float(np.ptp(window.outputs.embedding_ND, axis=0).max()) < _SAME:
        raise UserError(
            f"all {len(window)} clips of the window look the same; see that the cameras do not show a still or a test "
            "picture"
        )


_SAME = 1e-6


def _key(champion: Champion, clips: pd.DataFrame, params: WatchParams, today: str) -> str:
    shown = clips[["clip_id", "is_over"]].assign(label=clips["label"].fillna("")).to_numpy().tolist()
    content = [champion.version, champion.weights, shown, params.model_dump(mode="json"), today]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
