"""What became of a source's files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasks.video.clips import Refused
from tasks.video.identity import Fingerprint

Fingerprints = Mapping[Path, Fingerprint | Refused]


@dataclass(frozen=True)
class Brought:
    """What became of a source's files.

    Attributes:
        fingerprints: By the path that claims give; why there is none.
        refusals: Why a clip is not taken, by clip_id, where that is known already.
    """

    fingerprints: Fingerprints
    refusals: Mapping[str, Refused] = field(default_factory=dict)
