"""What happens to a model in use: watch, and labels that it gives itself."""

from typing import Annotated, Literal

from pydantic import Field

from models.spec import Fraction, Positive, Section


class WatchParams(Section):
    """When the watch says that the world has changed, and what it may do about it.

    Attributes:
        false_alarm: The chance of any false alarm over a champion's whole life.
        first_looks: Half of ``false_alarm`` is for the sequential test. Half is spread over a test of the whole window
            on the first so many days, when that has too little to compare with; 0 leaves all of it to that.
        within_day: ``product`` where sources are independent within a day (fast); ``mean`` where they share a day's
            luck, such as weather (slow).
        clips_per_day: Clips that a source's day gives to the sequential test; days with fewer are set aside.
        components: Principal components that the sequential test looks at, at most.
        window_days: Days of video that the tests of the window look at.
        level: At which the tests of the window are read where they explain and do not alarm.
        permutations: Of whole sources, in each of these tests.
        groups: Sources that are watched together as well as alone, by pattern: ``{"lobby-*": lobby}``. A source that no
            pattern fits is a group of its own.
        tolerance: Loss of accuracy, as a share, that is no harm.
        confidence: Of the intervals of estimated and measured accuracy.
        bootstrap: Resamples of whole sources.
        warm_up_days: A new champion is watched so long before anything is done.
        cooldown_days: Between two retrainings; about one and the same change it doubles each time.
        runs_per_week: Retrainings that the watch may start in seven days; 0 for none.
        hours_per_week: Hours of training that they may take together.
        attempts: Runs that may fail or be killed for one decision to retrain; after them it is a person's turn.
        min_labels: Labelled clips since the change, of sources that are not held out, without which retraining has
            nothing to learn from.
        patience_days: So long people have to answer a labelling request before an estimate from confidence alone may
            say that drift does no harm, or, where harm is not known or labels are too few to learn from, before they
            are asked again.
        request_clips: Clips that people are asked to label at a time.
        request_clips_per_week: And in seven days.
        request_at_random: So many of them are drawn at random, and accuracy is measured on these: of the others the
            champion is unsure, so that it seems worse than it is. Fewer than half as many labels that measure do not
            show that drift does no harm.
        request_from_test: Share of these, at least, that is of sources in the test split of the dataset that made the
            champion, as far as there are such clips: only these judge a challenger.
        shown_clips: Clips that moved, as pictures in the report.
    """

    false_alarm: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    first_looks: Annotated[int, Field(ge=0)] = 10
    within_day: Literal["product", "mean"] = "product"
    clips_per_day: Annotated[int, Field(ge=1)] = 4
    components: Annotated[int, Field(ge=1, le=256)] = 128
    window_days: Annotated[int, Field(ge=1)] = 7
    level: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    permutations: Annotated[int, Field(ge=100)] = 500
    groups: dict[str, str] = Field(default_factory=dict)
    tolerance: Fraction = 0.05
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    warm_up_days: Annotated[float, Field(ge=0.0)] = 1.0
    cooldown_days: Annotated[float, Field(ge=0.0)] = 2.0
    runs_per_week: Annotated[int, Field(ge=0)] = 2
    hours_per_week: Positive = 24.0
    attempts: Annotated[int, Field(ge=1)] = 3
    min_labels: Annotated[int, Field(ge=1)] = 20
    patience_days: Annotated[float, Field(ge=0.0)] = 7.0
    request_clips: Annotated[int, Field(ge=1)] = 60
    request_clips_per_week: Annotated[int, Field(ge=1)] = 480
    request_at_random: Annotated[int, Field(ge=0)] = 30
    request_from_test: Fraction = 0.5
    shown_clips: Annotated[int, Field(ge=1, le=100)] = 12

    @property
    def sequential_share(self) -> float:
        """The chance of a false alarm that the sequential test has."""
        return self.false_alarm / 2 if self.first_looks else self.false_alarm

    @property
    def look_level(self) -> float:
        """The level of one first look: of all of them together, half of ``false_alarm``, however they depend."""
        return self.false_alarm / 2 / self.first_looks if self.first_looks else 0.0


class PseudoParams(Section):
    """Whether the champion may label video that came in, for a round to train on.

    Attributes:
        enabled: Off, nothing is labelled by a model, and what was is taken back.
        precision: Share of the clips so labelled that have to be right, on the champion's reference.
        confidence: Of the one-sided lower bound that has to reach ``precision``.
        bootstrap: Resamples of whole sources.
        clips: So many a round takes, at most.
    """

    enabled: bool = False
    precision: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    clips: Annotated[int, Field(ge=1)] = 200
