"""How a model is trained: the search over jobs, and the job whose weights are kept."""

from typing import Annotated, Literal

from pydantic import Field

from models.spec import FineTuneParams, Section


class FloatRange(Section):
    """A continuous range of an Optuna search space."""

    low: float
    high: float
    log: bool = False


class Choice(Section):
    """A set of values of an Optuna search space."""

    choices: tuple[str | int | float | bool, ...]


class SearchParams(Section):
    """The search over fine-tuning jobs.

    Attributes:
        trials: Number of trials, the default configuration among them.
        retrain_trials: The same where training starts from a champion, whose configuration is tried second.
        time_budget_s: No trial starts after so many seconds; 0 for no limit.
        slots: Trials at a time where no Prefect server hands out slots.
        warmup_trials: Trials that are never pruned.
        job: The job that trials vary; as it stands it is the default configuration, always among the trials. With
            ``method: head`` trials share cached features and take seconds.
        space: Range or choices for each searched field of ``job`` or, as ``head.dropout``, of the model's head.
    """

    trials: Annotated[int, Field(ge=1)] = 8
    retrain_trials: Annotated[int, Field(ge=1)] = 4
    time_budget_s: Annotated[float, Field(ge=0.0)] = 0.0
    slots: Annotated[int, Field(ge=1)] = 2
    warmup_trials: Annotated[int, Field(ge=0)] = 3
    job: FineTuneParams = FineTuneParams(method="head", epochs=20, num_threads=1)
    space: dict[str, FloatRange | Choice] = Field(default_factory=dict)


class FinalJobParams(FineTuneParams):
    """The job whose weights are kept.

    Attributes:
        from_search: Fields that take the search's best value; the others stay as written here.
        calibration: ``temperature`` divides the trained model's class scores by one number, fitted on val, so that a
            confidence of 80% means being right 80% of the time; no answer changes. ``none`` leaves them.
    """

    from_search: tuple[str, ...] = ()
    calibration: Literal["temperature", "none"] = "none"

    @property
    def job(self) -> FineTuneParams:
        """The job as written here, before the search's values."""
        return FineTuneParams.model_validate(self.model_dump(include=set(FineTuneParams.model_fields)))
