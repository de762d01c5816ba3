"""What happened on each day, a file a day: what a replay that was stopped goes on from, and what the timeline shows."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from models.files import replacing
from tasks.watch.findings import Figure, Harm
from tasks.watch.watch import Watched

VIDEOLOOP, NEVER, WEEKLY = "videoloop", "never retrained", "retrained weekly"


class Look(BaseModel):
    """One watch.

    Attributes:
        key: Of its decision.
        at: Its moment.
        version: The champion.
        action: ``nothing``, ``label`` or ``retrain``.
        what: The decision in a few words.
        why: The reason.
        evidence: Of all sources.
        limit: Evidence that raises the alarm.
        alarm: What raised it, where it is raised and not inherited from an earlier champion.
        estimated: Accuracy of the window, from confidence.
        measured: Accuracy of the window, on its labelled clips.
        request: Folder of a labelling request.
    """

    key: str
    at: str
    version: int
    action: str
    what: str
    why: str
    evidence: float
    limit: float
    alarm: str | None = None
    estimated: Figure | None = None
    measured: Figure | None = None
    request: str = ""


class Score(BaseModel):
    """How many clips of a day were answered rightly.

    Attributes:
        right: Of cameras that look as they did.
        clips: Likewise.
        right_new: Of cameras with the new look.
        clips_new: Likewise.
    """

    right: int = 0
    clips: int = 0
    right_new: int = 0
    clips_new: int = 0

    @property
    def accuracy(self) -> float:
        """Of all clips."""
        return (self.right + self.right_new) / max(1, self.clips + self.clips_new)

    @property
    def accuracy_new(self) -> float | None:
        """Of cameras with the new look."""
        return self.right_new / self.clips_new if self.clips_new else None

    @property
    def accuracy_old(self) -> float | None:
        """Of cameras that look as they did."""
        return self.right / self.clips if self.clips else None


class Day(BaseModel):
    """One day.

    Attributes:
        number: Counts from 1.
        date: Its date.
        changed: Whether the new look is there.
        version: The champion that answered on it.
        looks: The watches after it.
        labels: Labels that people gave, by policy.
        answered: Labelling requests that they answered.
        training_s: Seconds of search and training that followed, by policy.
        round_s: Seconds of the whole round that they were part of.
        made: The version that a retraining made.
        verdict: The judge's, of that version.
        promoted: Whether it became champion.
        scores: How each policy's model answered, against the truth.
        over: Whether all of it is done.
    """

    number: int
    date: str
    changed: bool
    version: int
    looks: list[Look] = Field(default_factory=list)
    labels: dict[str, int] = Field(default_factory=dict)
    answered: list[str] = Field(default_factory=list)
    training_s: dict[str, float] = Field(default_factory=dict)
    round_s: float = 0.0
    made: int | None = None
    verdict: str = ""
    promoted: bool = False
    scores: dict[str, Score] = Field(default_factory=dict)
    over: bool = False

    def write(self, folder: Path) -> None:
        """Keep it in ``folder``, all or nothing."""
        with replacing(_file(folder, self.number)) as temporary:
            temporary.write_text(self.model_dump_json(indent=1), encoding="utf-8")


def read_day(folder: Path, number: int) -> Day | None:
    """What is known of a day; None where it has not begun."""
    path = _file(folder, number)
    return Day.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None


def read_days(folder: Path) -> list[Day]:
    """All days that are over, in order."""
    days = [Day.model_validate_json(path.read_text(encoding="utf-8")) for path in folder.glob("day-*.json")]
    return sorted((day for day in days if day.over), key=lambda day: day.number)


def look_of(found: Watched) -> Look:
    """A watch as the diary keeps it."""
    findings, decision = found.findings, found.decision
    known = {harm.how: _after(harm) for harm in findings.overall.harm if not harm.of}
    return Look(
        key=decision.key,
        at=findings.now.isoformat(),
        version=findings.version,
        action=found.action,
        what=decision.what,
        why=decision.why,
        evidence=findings.overall.evidence,
        limit=findings.overall.limit,
        alarm=None if findings.inherited else findings.alarm,
        estimated=known.get("estimated"),
        measured=known.get("measured"),
        request=decision.evidence["request"],
    )


def total(days: Sequence[Day], policy: str) -> tuple[int, float]:
    """Labels and seconds of training that a policy has cost."""
    return sum(day.labels.get(policy, 0) for day in days), sum(day.training_s.get(policy, 0.0) for day in days)


def _after(harm: Harm) -> Figure | None:
    return harm.after


def _file(folder: Path, number: int) -> Path:
    return folder / f"day-{number:03}.json"
