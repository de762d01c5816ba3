"""Predictions that the service logged, as clips that came in: with the champion's embedding, and without frames.

The log is a sample of requests, and the same video may be asked about twice: it counts once. A request without a source
says nothing about dependence, so that it is left out.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.labelling.outputs import Outputs
from tasks.video.clips import WHOLE
from tasks.video.identity import clip_id_of
from tasks.watch.champion import Champion
from tasks.watch.outputs import FACTS


def served_outputs(champion: Champion, predictions: pd.DataFrame) -> Outputs:
    """What ``champion`` answered, of one clip a video, the first time.

    Args:
        champion: Other versions' answers are of another model.
        predictions: Columns ``at``, ``source_id``, ``sha256``, ``version``, ``probabilities``, ``embedding`` and the
            facts, the oldest first; as the service's prediction log reads.
    """
    own = predictions[(predictions["version"] == champion.version) & predictions["source_id"].notna()]
    own = own.drop_duplicates("sha256")
    at = pd.to_datetime(own["at"].reset_index(drop=True), utc=True)
    clips = pd.DataFrame(
        {
            "clip_id": [clip_id_of(sha256, WHOLE) for sha256 in own["sha256"]],
            "source_id": own["source_id"].to_numpy(),
            # Answered is not recorded, and a day of answers is over like any other.
            "captured_at": at,
            "at": at,
            "timed": True,
            "label": None,
            **{fact: own[fact].to_numpy() for fact in FACTS},
        }
    )
    return Outputs(
        clips, _matrix(own["embedding"]), _matrix(own["probabilities"]), champion.labels, champion.thresholds
    )


def together(clips: Outputs, served: Outputs) -> Outputs:
    """Both, without what was served and came in as a file as well."""
    new = served.part(~served.clips["clip_id"].isin(clips.clips["clip_id"]).to_numpy())
    if not len(new.clips):
        return clips
    if not len(clips.clips):
        return new
    return replace(
        clips,
        clips=pd.concat([clips.clips, new.clips], ignore_index=True),
        embedding_ND=np.concatenate([clips.embedding_ND, new.embedding_ND]),
        probability_NK=np.concatenate([clips.probability_NK, new.probability_NK]),
    )


def _matrix(rows: Iterable[Any]) -> NDArray[np.float32]:
    values = [np.asarray(row, np.float32) for row in rows]
    return np.stack(values) if values else np.empty((0, 0), np.float32)
