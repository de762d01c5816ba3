"""What one watch has found, as it is kept, shown and decided upon."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

OVERALL = "all sources"
UNSEEN = "sources that were not trained on"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Figure(_Record):
    """A share, or a difference of shares, with its interval."""

    estimate: float
    low: float
    high: float


class Test(_Record):
    """A test of the window against the reference: it explains, and raises the alarm only in a first look.

    Attributes:
        name: What it looks at.
        p_value: None where it abstains.
        says: Which columns have changed, or why it abstains.
    """

    name: str
    p_value: float | None
    says: str


class Harm(_Record):
    """What has become of accuracy.

    Attributes:
        how: ``estimated`` from confidence, or ``measured`` on labelled clips.
        of: Which sources, where it is not all of them.
        before: Accuracy on the reference.
        after: Accuracy on the window; None where nothing can be said.
        drop: The first minus the second.
        clips: Clips that it rests on.
        says: Why nothing can be said.
    """

    how: Literal["estimated", "measured"]
    of: str = ""
    before: float | None = None
    after: Figure | None = None
    drop: Figure | None = None
    clips: int = 0
    says: str = ""


class Group(_Record):
    """A group of sources, or all of them.

    Attributes:
        name: Its name.
        sources: Sources in the window.
        clips: Clips in the window.
        labelled: Clips with a label.
        evidence: The sequential test's, over the champion's life.
        limit: Evidence that raises the alarm.
        since: The day since which evidence has mounted: over all sources, and in a group that has changed.
        teaching: Clips with a label, where there is an alarm since the change, of sources that are not held out.
        tests: Of the window.
        harm: Of the window; where there is an alarm, of its days since the change.
    """

    name: str
    sources: int
    clips: int
    labelled: int
    evidence: float
    limit: float
    since: str | None = None
    teaching: int = 0
    tests: tuple[Test, ...] = ()
    harm: tuple[Harm, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether its evidence alone has reached the limit."""
        return self.evidence >= self.limit


def changed_since(overall: str | None, changed: Iterable[str | None]) -> str | None:
    """The day since which evidence has mounted: over all sources, else in the group that has changed first.

    Args:
        overall: The day over all sources.
        changed: Those of groups that have changed; others have such a day by chance.
    """
    return overall or min((since for since in changed if since), default=None)


class Moved(_Record):
    """A clip that moved, and the clip of the reference that is nearest to it."""

    clip_id: str
    source_id: str
    at: datetime
    predicted: str
    confidence: float
    label: str | None
    nearest: str
    nearest_label: str | None


class Frequency(_Record):
    """How many times as frequent as in the reference a class is, with its interval."""

    label: str
    times: Figure


class Mix(_Record):
    """How classes are spread in the window, were their looks as in the reference: it explains and never triggers.

    Attributes:
        changed: Classes whose interval excludes 1, the most changed first.
        says: Why nothing can be said, if so; beside classes that have changed, of which others.
    """

    changed: tuple[Frequency, ...] = ()
    says: str = ""

    @property
    def sentence(self) -> str:
        """For people; empty where there is nothing to tell."""
        if not self.changed:
            reason = self.says.rstrip(".")
            return f"How classes are spread in the window cannot be estimated: {reason}" if reason else ""
        told = ", ".join(
            f"{one.label} {one.times.estimate:.1f} x as often ({one.times.low:.1f} to {one.times.high:.1f})"
            for one in self.changed
        )
        return f"Class mix in the window, estimated: {told}{f'; {self.says}' if self.says else ''}"


class Inherited(_Record):
    """The alarm of an earlier champion that this one was made to answer: whether it did is not known yet.

    Attributes:
        version: The earlier champion.
        alarm: What raised its alarm, and when.
        since: The day since which evidence had mounted.
    """

    version: int
    alarm: str
    since: str | None = None


class Findings(_Record):
    """What one watch has found.

    Attributes:
        key: Identity of the watch: champion, window, day and parameters.
        name: The registered model.
        version: Its champion.
        now: The moment of the watch.
        notes: What a person should know about the video, such as clips that were left out.
        halted: Why nothing could be found, if so; nothing below means anything then.
        alarm: The day that raised the alarm, and by which test; it stays for the champion's life.
        inherited: What the alarm is about where this champion was made to repair it.
        days_watched: Since this champion was first watched.
        overall: All sources.
        groups: By group, the most evidence first.
        moved: Clips that moved most.
        mix: How classes are spread in the window; None before there was such an estimate.
        delay: Expected days until an alarm if all sources changed tomorrow by three standard deviations of their days;
            None if it would take more than thirty.
    """

    key: str
    name: str
    version: int
    now: datetime
    notes: tuple[str, ...] = ()
    halted: str = ""
    alarm: str | None = None
    inherited: Inherited | None = None
    days_watched: float = 0.0
    overall: Group
    groups: tuple[Group, ...] = ()
    moved: tuple[Moved, ...] = ()
    mix: Mix | None = None
    delay: int | None = None

    @property
    def changed_groups(self) -> list[str]:
        """Groups whose own evidence has reached the limit, else all sources together."""
        return [group.name for group in self.groups if group.changed] or [OVERALL]

    @property
    def since(self) -> str | None:
        """The day since which the world has changed; see :func:`changed_since`."""
        return changed_since(self.overall.since, [group.since for group in self.groups if group.changed])

    def since_in(self, groups: Collection[str]) -> str | None:
        """The day since which some groups have changed, as far as it is known; that of all where none is named."""
        return changed_since(None, [group.since for group in self.groups if group.name in groups]) or self.since
