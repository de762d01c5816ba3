"""params.yaml, typed: every knob that changes a result. Sections carry the names of the stages that read them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.spec import (
    ContinualParams,
    FineTuneParams,
    Format,
    Fraction,
    ModelParams,
    Positive,
    PretrainParams,
    Section,
)

LayoutName = Literal["auto", "folder", "table", "ucf101", "hmdb51", "kinetics", "something", "cvat", "label_studio"]


class BaseParams(Section):
    """What every stage may read.

    Attributes:
        name: Name of the registered model and of the MLflow experiment.
        seed: Seed of every random choice.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class BucketParams(Section):
    """How video is brought from a bucket (``s3://``).

    Attributes:
        spool_mb: Megabytes of objects that lie on this disk at a time, between fetching and decoding; a larger object
            is refused.
        deadline_s: Seconds without a byte or an answer after which S3 is given up.
        connections: Objects that are fetched side by side.
    """

    spool_mb: Positive = 4096.0
    deadline_s: Positive = 300.0
    connections: Annotated[int, Field(ge=1, le=256)] = 8


class LimitsParams(Section):
    """What decoding one file may cost before it is refused; nothing that is stored depends on it.

    Attributes:
        max_file_gb: Size of the file, in 10^9 bytes.
        max_pixels: Of one frame, width times height.
        max_decoded_gigapixels: Pixels that are decoded for one clip, in 10^9, frames that are not stored included:
            60 s of 3840 x 2160 at 60 frames a second are 30.
        memory_gb: Address space of a decoding process, in 10^9 bytes; the process itself takes about 0.25.
        timeout_s: Wall-clock seconds that any file may take.
        timeout_per_s: Wall-clock seconds more for each second of video up to the last that is wanted.
    """

    max_file_gb: Positive = 64.0
    max_pixels: Annotated[int, Field(ge=256)] = 8192 * 4320
    max_decoded_gigapixels: Positive = 64.0
    memory_gb: Annotated[float, Field(ge=0.3)] = 4.0
    timeout_s: Positive = 60.0
    timeout_per_s: Annotated[float, Field(ge=0.0)] = 4.0


class WindowParams(Section):
    """Windows that long video is cut into; ``tasks/video/windows.py`` has the rule.

    Attributes:
        length_s: Seconds of a window; 0 cuts nothing.
        stride_s: Seconds from one window's start to the next's; 0 for ``length_s``, so that windows touch.
        labelled: Whether stretches with a label are cut too: each window keeps it.
    """

    length_s: Annotated[float, Field(ge=0.0)] = 0.0
    stride_s: Annotated[float, Field(ge=0.0)] = 0.0
    labelled: bool = False

    @property
    def step_s(self) -> float:
        """Seconds from one window's start to the next's."""
        return self.stride_s or self.length_s


class IngestParams(Section):
    """How video is decoded once into shards.

    Attributes:
        short_side: Pixels of the stored frames' shorter side (never enlarged).
        max_fps: Stored frames a second, at most; a faster source is thinned by presentation time.
        min_duration_s: Shorter clips go to quarantine.
        max_duration_s: Longer clips are refused: cut them into windows in a table.
        jpeg_quality: Of the stored frames.
        clips_per_shard: Clips in one shard, at most.
        limits: What decoding one file may cost.
        layout: How a labelled source lies on the disk; ``auto`` looks at what is there.
        official_split: Which of a dataset's official splits counts (UCF101 and HMDB51 have three), with
            ``split.by: given``.
        windows: What long video without labels is cut into.
        bucket: How video is brought from a bucket.
        multi_label: Whether a clip may have several labels, or be labelled as showing none of them. It decides what
            everything that follows trains, measures and answers (docs/decisions/0028-multi-label.md).
        label_separator: Between a clip's labels in a cell of a table, where it may have several.
    """

    short_side: Annotated[int, Field(ge=16, le=2160)] = 128
    max_fps: Positive = 30.0
    min_duration_s: Positive = 0.2
    max_duration_s: Positive = 60.0
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 90
    clips_per_shard: Annotated[int, Field(ge=1, le=100_000)] = 256
    limits: LimitsParams = LimitsParams()
    layout: LayoutName = "auto"
    official_split: Annotated[int, Field(ge=1, le=9)] = 1
    windows: WindowParams = WindowParams()
    bucket: BucketParams = BucketParams()
    multi_label: bool = False
    label_separator: Annotated[str, Field(min_length=1, max_length=8)] = "|"


class SplitParams(Section):
    """Who is trained on and who is tested.

    Attributes:
        by: ``source`` keeps whole sources together; ``time`` tests on each source's latest clips; ``given`` takes the
            table's ``split`` column.
        val: Share for validation.
        test: Share for the test.
    """

    by: Literal["source", "time", "given"] = "source"
    val: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitParams":
        if self.val + self.test >= 1.0:
            raise ValueError("val + test must be less than 1: nothing would be left to train on")
        return self


class NearDuplicateParams(Section):
    """Whether copies of a clip may be in two splits.

    Attributes:
        enabled: Whether copies are looked for.
        distance: Two clips are copies when the words of 64 bits that say what moves in them, and those that say what
            stands still, differ in so many bits on average, at most (docs/decisions/0025-near-duplicates.md).
    """

    enabled: bool = False
    distance: Annotated[float, Field(ge=0.0, le=24.0)] = 12.0


class ValidateParams(Section):
    """What the manifest must fulfil before anything is trained.

    Attributes:
        labels: Allowed labels; empty allows those that are there.
        min_clips_per_class: In the whole manifest.
        min_sources_per_class: In the whole manifest; asked for only where ``split.by`` is ``source``.
        max_imbalance: Clips of the largest class over clips of the smallest.
        duration_s: Smallest and largest duration in seconds.
        short_side_px: Smallest and largest shorter side of the original video.
        fps: Smallest and largest frame rate of the original video.
        brightness: Smallest and largest mean luma, 0 to 255.
        motion: Smallest and largest mean absolute difference of successive frames, 0 to 255.
        incremental: Clips of shards that passed before, under the same limits, are not checked again for what depends
            on them alone; what depends on all clips always is. False reads and checks every shard.
        near_duplicates: Whether a clip and a copy of it may be in two splits.
    """

    labels: tuple[str, ...] = ()
    min_clips_per_class: Annotated[int, Field(ge=1)] = 5
    min_sources_per_class: Annotated[int, Field(ge=1)] = 3
    max_imbalance: Annotated[float, Field(ge=1.0)] = 20.0
    duration_s: tuple[float, float] = (0.2, 60.0)
    short_side_px: tuple[int, int] = (64, 4320)
    fps: tuple[float, float] = (4.0, 240.0)
    brightness: tuple[float, float] = (8.0, 247.0)
    motion: tuple[float, float] = (0.05, 128.0)
    incremental: bool = True
    near_duplicates: NearDuplicateParams = NearDuplicateParams()


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


class Params(Section):
    """The whole of params.yaml. Hand each function its section, never the whole."""

    base: BaseParams
    ingest: IngestParams = IngestParams()
    split: SplitParams = SplitParams()
    validate_: Annotated[ValidateParams, Field(alias="validate")] = ValidateParams()
    model: ModelParams
    continual: ContinualParams = ContinualParams()
    pretrain: PretrainParams = PretrainParams()
    fine_tune: FinalJobParams = FinalJobParams()
    search: SearchParams = SearchParams()
    evaluate: EvaluateParams = EvaluateParams()
    export: ExportParams = ExportParams()
    report: ReportParams = ReportParams()
    judge: JudgeParams = JudgeParams()
    promote: PromoteParams = PromoteParams()
    watch: WatchParams = WatchParams()
    pseudo: PseudoParams = PseudoParams()

    @model_validator(mode="after")
    def _several_labels_allow_it(self) -> "Params":
        views = self.evaluate.views
        asked = {
            "pseudo.enabled": self.pseudo.enabled,
            "evaluate.adversarial.epsilon": self.evaluate.adversarial.epsilon > 0,
            "evaluate.views": views.temporal * views.spatial > 1,
        }
        if self.ingest.multi_label and (wanted := [name for name, is_on in asked.items() if is_on]):
            raise ValueError(f"{wanted[0]} is for clips of one label: leave it out, or set ingest.multi_label to false")
        return self
