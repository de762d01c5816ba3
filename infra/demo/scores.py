"""How models answered on a day, against the truth, which only the demonstration knows."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from infra.demo.calendar import Shot
from infra.demo.diary import Score
from tasks.labelling.outputs import Outputs
from tasks.watch.champion import Champion, watched_version
from tasks.watch.incoming import came_in, seen_by


def clips_of(champion: Champion, shots: Sequence[Shot], now: datetime) -> pd.DataFrame:
    """The rows of ``shots`` among what came in."""
    clips = came_in(champion, now)
    wanted = {(shot.source_id, shot.captured_at) for shot in shots}
    there = [place in wanted for place in zip(clips["source_id"], clips["at"], strict=True)]
    return clips[np.array(there, bool)].reset_index(drop=True)


def score_version(name: str, version: int, shots: Sequence[Shot], now: datetime) -> Score:
    """How a registered version answers ``shots``."""
    champion = watched_version(name, version)
    return score(seen_by(champion, clips_of(champion, shots, now)), shots)


def score(outputs: Outputs, shots: Sequence[Shot]) -> Score:
    """How often the most probable label is the true one."""
    shot_at = {(shot.source_id, shot.captured_at): shot for shot in shots}
    counts = {"right": 0, "clips": 0, "right_new": 0, "clips_new": 0}
    for source, at, predicted in zip(outputs.clips["source_id"], outputs.clips["at"], outputs.said(), strict=True):
        shot = shot_at[source, at.to_pydatetime()]
        which = "_new" if shot.is_new else ""
        counts[f"clips{which}"] += 1
        counts[f"right{which}"] += int(predicted == shot.label)
    return Score(**counts)
