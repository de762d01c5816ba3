"""How video becomes a dataset: ingest, split, validate."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.spec import Positive, Section

LayoutName = Literal["auto", "folder", "table", "ucf101", "hmdb51", "kinetics", "something", "cvat", "label_studio"]


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

    @model_validator(mode="after")
    def _takes_clips_of_some_length(self) -> "IngestParams":
        if self.min_duration_s >= self.max_duration_s:
            raise ValueError(
                f"min_duration_s ({self.min_duration_s:g}) must be less than max_duration_s ({self.max_duration_s:g})"
            )
        return self


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
