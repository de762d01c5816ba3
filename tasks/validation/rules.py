"""What is asked of a dataset of video, each rule an expectation of its own name, so that Data Docs read like the rules.

A description says what must hold and, in brackets, which key of params.yaml decides it. Importing this module takes
seconds, as it imports Great Expectations.
"""

from great_expectations.expectations import core as gxe
from great_expectations.expectations.expectation import Expectation

from models.clips.manifest import SPLITS
from tasks.params.data import SplitParams, ValidateParams

_KNOWN = ["clip_id", "source_id", "uri", "sha256", "shard", "row", "start_s", "end_s", "fps", "brightness", "motion"]


class ExpectClipToBeLongEnough(gxe.ExpectColumnValuesToBeBetween):
    """A clip is neither too short to show what it is labelled with nor too long to be one clip."""


class ExpectPictureToBeLargeEnough(gxe.ExpectColumnValuesToBeBetween):
    """The original video has pixels enough to recognise something, and not more than a camera has."""


class ExpectFrameRateToBePlausible(gxe.ExpectColumnValuesToBeBetween):
    """A rate outside of what cameras record says that time stamps are wrong."""


class ExpectPictureNotToBeBlackOrWhite(gxe.ExpectColumnValuesToBeBetween):
    """Mean luma at either end is a covered lens, a dead sensor, or an exposure that shows nothing."""


class ExpectMotionToBePresent(gxe.ExpectColumnValuesToBeBetween):
    """Frames that do not differ are a still picture or a frozen stream; frames that differ wholly are noise."""


class ExpectFramesToBeStored(gxe.ExpectColumnValuesToBeNull):
    """A clip's frames are in its shard and row, and the shard is what its name says."""


class ExpectLabelAndSplitToComeTogether(gxe.ExpectColumnValuesToBeNull):
    """A label without a split is trained on by nobody; a split without a label is counted and cannot be used."""


class ExpectLabelsToBeKnown(gxe.ExpectColumnValuesToBeNull):
    """A label that nobody allowed is most often a misspelt one."""


class ExpectLabelsToBeASet(gxe.ExpectColumnValuesToBeNull):
    """A clip has each of its labels once; both columns that name them say the same."""


class ExpectGuessesToBeTrainedOnOnly(gxe.ExpectColumnValuesToBeNull):
    """A model that is tested on another model's guesses is measured against a mistake."""


class ExpectClipNotToComeFromTheFuture(gxe.ExpectColumnValuesToBeNull):
    """A recording that has yet to happen says that a clock is wrong."""


class ExpectStretchToBeInOneSplit(gxe.ExpectColumnValuesToBeNull):
    """The same seconds of a file in two splits are tested on after they were trained on."""


class ExpectSourcesToBeInOneSplit(gxe.ExpectColumnValuesToBeInSet):
    """Clips of one source depend on each other: what is trained on is no test for the rest of its source."""


def about_each_clip(params: ValidateParams, *, multi_label: bool = False) -> list[Expectation]:
    """What a clip fulfils or not whatever other clips there are, so that the answer can be remembered."""
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name, description=f"Every clip has {name}.") for name in _KNOWN),
        ExpectFramesToBeStored(
            column="shard_problem", description="Every clip's frames are where the manifest says, as they were written."
        ),
        ExpectLabelAndSplitToComeTogether(
            column="half_known", description="A clip has both a label and a split, or neither."
        ),
        ExpectGuessesToBeTrainedOnOnly(column="guessed_in", description="No pseudo-label is validated or tested on."),
        *(_sets_of_labels(params) if multi_label else _labels(params)),
        _one_of("split", SPLITS, f"A split is one of {', '.join(SPLITS)}."),
        ExpectClipNotToComeFromTheFuture(column="in_the_future", description="No clip was captured in the future."),
        *(
            kind(
                column=column,
                min_value=limits[0],
                max_value=limits[1],
                description=f"{what} is between {limits[0]:g} and {limits[1]:g} (validate.{column}).",
            )
            for kind, column, limits, what in (
                (ExpectClipToBeLongEnough, "duration_s", params.duration_s, "Duration in seconds"),
                (ExpectPictureToBeLargeEnough, "short_side_px", params.short_side_px, "Shorter side in pixels"),
                (ExpectFrameRateToBePlausible, "fps", params.fps, "Frames a second"),
                (ExpectPictureNotToBeBlackOrWhite, "brightness", params.brightness, "Brightness (mean luma)"),
                (ExpectMotionToBePresent, "motion", params.motion, "Motion (mean difference of successive frames)"),
            )
        ),
    ]


def about_all_clips(split: SplitParams) -> list[Expectation]:
    """What depends on which clips there are: asked of all of them every time."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="There is at least one clip."),
        gxe.ExpectColumnValuesToBeUnique(column="clip_id", description="A clip is there once."),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["sha256", "start_s", "end_s"], description="A stretch of a file is there once."
        ),
        ExpectStretchToBeInOneSplit(column="shared_with", description="No stretch of a file is in two splits."),
        *_whole_sources(split),
    ]


def about_classes(params: ValidateParams, split: SplitParams) -> list[Expectation]:
    """What every class must have."""
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=2, description="There are at least two classes."),
        _at_least("clips", params.min_clips_per_class, "clips (validate.min_clips_per_class)"),
        *_enough_sources(params, split),
        *(_at_least(f"{name}_clips", 1, f"clip in {name}") for name in SPLITS),
        gxe.ExpectColumnValuesToBeBetween(
            column="imbalance",
            max_value=params.max_imbalance,
            description="The largest class has at most "
            f"{params.max_imbalance:g} times as many clips as any other (validate.max_imbalance).",
        ),
    ]


def _labels(params: ValidateParams) -> list[Expectation]:
    if not params.labels:
        return []
    return [_one_of("label", params.labels, f"A label is one of {', '.join(params.labels)} (validate.labels).")]


def _sets_of_labels(params: ValidateParams) -> list[Expectation]:
    allowed = (
        []
        if not params.labels
        else [
            ExpectLabelsToBeKnown(
                column="unknown_label",
                description=f"Every label is one of {', '.join(params.labels)} (validate.labels).",
            )
        ]
    )
    return [ExpectLabelsToBeASet(column="label_problem", description="A clip has each label once."), *allowed]


def _whole_sources(split: SplitParams) -> list[Expectation]:
    if split.by != "source":
        return []  # by time a source is in every split, and with given splits a person answers for them
    return [
        ExpectSourcesToBeInOneSplit(
            column="splits_of_source",
            value_set=list(SPLITS),
            description="All clips of a source are in one split (split.by: source).",
        )
    ]


def _enough_sources(params: ValidateParams, split: SplitParams) -> list[Expectation]:
    if split.by == "source":
        return [_at_least("sources", params.min_sources_per_class, "sources (validate.min_sources_per_class)")]
    return []  # one source can fill every split


def _one_of(column: str, values: tuple[str, ...], description: str) -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=description)


def _at_least(column: str, least: int, what: str) -> Expectation:
    description = f"Every class has at least {least} {what}."
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=least, description=description)
