"""How good a model is, and when it is good enough: evaluate, export, report, judge, promote."""

from typing import Annotated, Literal

from pydantic import Field

from models.spec import Format, Fraction, Positive, Section


class ViewsParams(Section):
    """Looking at a clip more than once, and taking the mean of what the model says (multi-view testing).

    Attributes:
        temporal: Stretches of the clip, from its start to its end; more than one only where the model takes a stretch
            of so many seconds, and not the whole clip.
        spatial: Squares along the frame's longer side.
    """

    temporal: Annotated[int, Field(ge=1, le=30)] = 1
    spatial: Annotated[int, Field(ge=1, le=10)] = 1


class AttackParams(Section):
    """Measuring robust accuracy: how often the model is right on clips that were changed to mislead it (PGD).

    Attributes:
        epsilon: The largest change of a pixel's values 0..255; 0 turns it off.
        steps: Of the attack, each of which costs a pass there and back.
    """

    epsilon: Annotated[float, Field(ge=0.0, le=255.0)] = 0.0
    steps: Annotated[int, Field(ge=1, le=1000)] = 10


class EvaluateParams(Section):
    """How accuracy is measured.

    Attributes:
        bootstrap: Resamples of whole sources.
        confidence: Of the intervals.
        bins: Of the reliability diagram and of the expected calibration error.
        batch_size: Clips a forward pass.
        views: Looks at a clip.
        adversarial: Robust accuracy.
    """

    bootstrap: Annotated[int, Field(ge=100)] = 2000
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bins: Annotated[int, Field(ge=2, le=100)] = 15
    batch_size: Annotated[int, Field(ge=1)] = 32
    views: ViewsParams = ViewsParams()
    adversarial: AttackParams = AttackParams()


class ExportParams(Section):
    """Which programs the model is also exported as, and which of them may answer in its place.

    Attributes:
        formats: To make; what is not accepted is left out of the registered version. Empty: the model itself answers.
        tolerance: Largest difference of any probability from the model's, for ``pt2`` and ``onnx``.
        int8_max_accuracy_drop: Accuracy, or mean average precision, that ``int8`` may lose on val, as a share.
        int8_max_shift: So far may ``int8`` move the embeddings of val together, in their standard deviations; the watch
            compares what a service logs with the model's own embeddings, and would take more for drift.
        calibration_clips: Training clips that set the ranges of ``int8``, spread over sources.
        check_clips: Val clips on which formats are compared, at most, spread over sources.
    """

    formats: tuple[Format, ...] = ("pt2", "onnx", "int8")
    tolerance: Positive = 0.001
    int8_max_accuracy_drop: Fraction = 0.01
    int8_max_shift: Positive = 0.1
    calibration_clips: Annotated[int, Field(ge=1)] = 128
    check_clips: Annotated[int, Field(ge=1)] = 512


class ReportParams(Section):
    """What the report shows.

    Attributes:
        worst: Clips in the contact sheet of the worst mistakes.
        explained: Clips, half of them mistakes, of which the report shows where the model looked; 0 for none.
    """

    worst: Annotated[int, Field(ge=1, le=500)] = 24
    explained: Annotated[int, Field(ge=0, le=50)] = 0


class JudgeParams(Section):
    """When a challenger is good enough.

    Attributes:
        tolerance: Loss of accuracy, as a share, that still counts as "not worse".
        confidence: Of the paired intervals.
        bootstrap: Resamples of whole sources.
        class_floor: Accuracy that each class must reach on the test clips, unless the champion is no better there.
        class_floors: Other floors for some, by label.
        group_floor: The same for each group of sources (``watch.groups``; else each source).
        group_floors: Other floors for some, by group.
        floor_clips: A class or group with fewer test clips has no floor.
        max_slowdown: Median latency of one clip, as a multiple of the champion's, at most; null for no limit.
        max_latency_ms: The same in milliseconds, on the machine that judges; null for no limit.
        max_size_mb: Size of the weights in millions of bytes, at most; null for no limit.
        promote: ``people`` promote; with ``auto`` a version that is better and that nothing blocks becomes champion by
            itself.
    """

    tolerance: Fraction = 0.02
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    bootstrap: Annotated[int, Field(ge=100)] = 2000
    class_floor: Fraction = 0.5
    class_floors: dict[str, Fraction] = Field(default_factory=dict)
    group_floor: Fraction = 0.5
    group_floors: dict[str, Fraction] = Field(default_factory=dict)
    floor_clips: Annotated[int, Field(ge=1)] = 10
    max_slowdown: Positive | None = 1.5
    max_latency_ms: Positive | None = None
    max_size_mb: Positive | None = 500.0
    promote: Literal["people", "auto"] = "people"


class PromoteParams(Section):
    """Who becomes champion without a person.

    Attributes:
        first: The first version of a name becomes champion by itself.
    """

    first: bool = True
