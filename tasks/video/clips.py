"""What the decoding process is asked for and what it answers. Light on purpose: that process imports it."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self


class Reason(StrEnum):
    """Kinds of refusal: what programs count and choose by, where a person reads the message."""

    FILE = "file"
    """Cannot be opened, is empty, is no regular file, is a link, or changes while it is read."""
    CONTAINER = "container"
    """Is no container of video that is taken."""
    NO_VIDEO = "no_video"
    """Has no stream of video that can be read."""
    CODEC = "codec"
    """Is of a codec that is not taken."""
    CUT_OFF = "cut_off"
    """Ends before its container, its index or its duration says."""
    TRAILING = "trailing"
    """Goes on behind its container's end, or is an archive too."""
    DAMAGED = "damaged"
    """Has frames that cannot be decoded, or not without inventing parts of them."""
    TIMES = "times"
    """Time stamps are missing, stand still, go backwards or leave a gap."""
    DURATION = "duration"
    """Is too short or too long, has too few frames, or ends before the table's stretch."""
    PICTURE = "picture"
    """Has too many or too few pixels, changes its size, or is turned by less than a quarter."""
    HDR = "hdr"
    """Has brightness or colours that would be misread."""
    BUDGET = "budget"
    """Takes more bytes, pixels, memory or time than a video may."""
    CRASH = "crash"
    """Ended its decoder."""
    REPEATED = "repeated"
    """Has the content of another file, and contradicts what is said of that."""


class Refused(Exception):  # noqa: N818 - a verdict on a video, not an error of the program
    """Says that a video or clip is not taken; the message says why, in words for the person who recorded it.

    Attributes:
        reason: The kind.
        lasting: Whether the same bytes would be refused again; a time-out may pass.
    """

    def __init__(self, message: str, reason: Reason, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.reason = reason
        self.lasting = lasting


@dataclass(frozen=True)
class Recipe:
    """How frames are stored, and which durations are taken; see ``tasks.params.data.IngestParams``."""

    short_side: int
    max_fps: float
    jpeg_quality: int
    min_duration_s: float
    max_duration_s: float

    @classmethod
    def of(cls, section: Any) -> Self:
        """The recipe in section ``ingest``."""
        return cls(**{field.name: getattr(section, field.name) for field in fields(cls)})

    def check_duration(self, duration_s: float) -> None:
        """Raise :class:`Refused` for a clip that is too short or too long."""
        if duration_s < self.min_duration_s:
            raise Refused(
                f"lasts {duration_s:.2f} s, less than ingest.min_duration_s ({self.min_duration_s:g})", Reason.DURATION
            )
        if duration_s > self.max_duration_s:
            raise Refused(
                f"lasts {duration_s:.1f} s, more than ingest.max_duration_s ({self.max_duration_s:g}): cut it into "
                "windows by ingest.windows in params.yaml, or by start_s and end_s in a table",
                Reason.DURATION,
            )


@dataclass(frozen=True)
class Limits:
    """What decoding one file may cost, whatever its header says; see ``tasks.params.data.LimitsParams``."""

    max_file_gb: float = 64.0
    max_pixels: int = 8192 * 4320
    max_decoded_gigapixels: float = 64.0
    memory_gb: float = 4.0
    timeout_s: float = 60.0
    timeout_per_s: float = 4.0

    @classmethod
    def of(cls, section: Any) -> Self:
        """The limits in section ``ingest.limits``."""
        return cls(**{field.name: getattr(section, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class Segment:
    """A stretch of a file in seconds of presentation time from the file's start; ``end_s`` None is the file's end."""

    start_s: float = 0.0
    end_s: float | None = None

    @property
    def key(self) -> str:
        """Stable text of the segment, part of a clip's identity."""
        return f"{self.start_s:.6f}:{'' if self.end_s is None else f'{self.end_s:.6f}'}"


WHOLE = Segment()


@dataclass(frozen=True)
class Facts:
    """What probing found. Sizes are of the original after rotation; light and motion are measured on stored frames.

    Attributes:
        start_s: From the file's start.
        end_s: From the file's start.
        codec: Name of the codec.
        width: In pixels, as displayed.
        height: In pixels, as displayed.
        fps: Frames a second of the original.
        rotation: Degrees clockwise that the file asks players to turn it; already applied.
        brightness: Mean luma, 0 to 255.
        contrast: Standard deviation of luma, mean over frames.
        sharpness: Variance of luma's Laplacian, mean over frames.
        motion: Mean absolute difference of luma between successive frames.
    """

    start_s: float
    end_s: float
    codec: str
    width: int
    height: int
    fps: float
    rotation: int
    brightness: float
    contrast: float
    sharpness: float
    motion: float


@dataclass(frozen=True)
class DecodedClip:
    """A clip's frames as JPEG at stored size, and what was found on the way.

    Attributes:
        facts: What probing found.
        width: In pixels, as stored.
        height: In pixels, as stored.
        times_s: From the clip's start.
        frames: As JPEG.
        num_disordered: Frames that were left out because their time stamps do not come after the ones before.
    """

    facts: Facts
    width: int
    height: int
    times_s: list[float]
    frames: list[bytes]
    num_disordered: int = 0


@dataclass(frozen=True)
class Job:
    """Segments of one file, ascending, decoded in one pass; without any, the question how long the file says it is."""

    path: str
    segments: tuple[Segment, ...]
    recipe: Recipe
    limits: Limits = Limits()
