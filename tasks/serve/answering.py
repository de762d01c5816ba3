"""From an uploaded video to the model's answer."""

import asyncio
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from models.clips.label_sets import written
from tasks.serve.model import ServedVersion
from tasks.serve.prediction_log import LoggedPrediction, PredictionLog
from tasks.serve.problems import Problem
from tasks.serve.uploads import Upload
from tasks.video.clips import WHOLE, Job, Refused
from tasks.video.pool import DecodingPool

_TOO_LONG = re.compile(r"lasts ([\d.]+) s, more than ingest\.max_duration_s")
_TOO_SHORT = re.compile(r"(lasts [\d.]+ s), less than ingest\.min_duration_s \(([^)]*)\)")


@dataclass(frozen=True)
class Answered:
    """What the service says about a video.

    Attributes:
        id: Of the request; the logged prediction has the same.
        probabilities: By label, the most probable first.
        name: The registered model.
        version: The version that answered.
        windows: Over which the probabilities are a mean.
        labels: Where a video may have several: those that it has, and their probabilities; else None.
    """

    id: str
    probabilities: dict[str, float]
    name: str
    version: int
    windows: int
    labels: dict[str, float] | None = None

    @property
    def label(self) -> str:
        """The most probable label; where a video may have several, all that it has, as text."""
        return next(iter(self.probabilities)) if self.labels is None else written(self.labels)

    def content(self) -> dict[str, Any]:
        """As JSON says it."""
        probability = self.probabilities[self.label] if self.labels is None else None
        return {
            "id": self.id,
            "label": self.label,
            "probability": probability,
            **({} if self.labels is None else {"labels": self.labels}),
            "probabilities": self.probabilities,
            "model": {"name": self.name, "version": self.version},
            "windows": self.windows,
        }


async def answered(upload: Upload, live: ServedVersion, pool: DecodingPool, log: PredictionLog) -> Answered:
    """Decode the video in its sandbox, and ask ``live`` to the end, whatever is put into service meanwhile.

    Raises:
        Problem: The video is refused, as it would be at ingest.
    """
    job = Job(str(upload.path), (WHOLE,), live.recipe)
    (clip,) = await asyncio.wrap_future(pool.submit(job))
    try:
        if isinstance(clip, Refused):
            raise clip
        clip_NCTSS = await asyncio.to_thread(live.classifier.windows, clip)
    except Refused as refused:
        raise _problem(str(refused), live.recipe.max_duration_s) from None
    found = await live.batcher.infer(clip_NCTSS)
    by_label = live.classifier.by_label(found.probabilities_NK.mean(0))
    ranked = dict(sorted(by_label.items(), key=lambda item: -item[1]))
    labels = live.classifier.given(by_label)
    answer = Answered(uuid.uuid4().hex, ranked, live.name, live.version, len(clip_NCTSS), labels)
    facts = clip.facts
    log.offer(
        lambda: LoggedPrediction(
            answer.id,
            datetime.now(UTC),
            upload.source_id,
            upload.sha256,
            live.name,
            live.version,
            by_label,
            found.embedding_ND.mean(0),
            answer.windows,
            facts,
            answer.label,
        )
    )
    return answer


def _problem(reason: str, max_duration_s: float) -> Problem:
    if long := _TOO_LONG.match(reason):
        sentence = f"the video lasts {long[1]} s, more than the {max_duration_s:g} s that this service takes"
        return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "video_too_long", sentence)
    reason = _TOO_SHORT.sub(r"\1, less than the \2 s that this model takes", reason)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "video_refused", f"the video is refused: {reason}")
