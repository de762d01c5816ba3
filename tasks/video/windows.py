"""Long video cut into windows, by one rule: what is decoded later is listed here without decoding it.

Windows are ``length_s`` long and begin every ``stride_s`` from where the stretch begins, as long as whole ones fit.
What is left behind the last is a window of its own where it lasts ``min_duration_s``; if it is shorter, the last window
runs on to the end. What lies between windows, where they begin further apart than they are long, is left out as asked.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from models.errors import UserError
from tasks.params.data import IngestParams, SplitParams, WindowParams
from tasks.video.clips import Reason, Refused, Segment
from tasks.video.identity import Candidate, clip_id_of
from tasks.video.quarantine import Rejected

_EPSILON_S = 1e-6
# A header may declare any length: ten days of windows of ten seconds are believed.
_MAX_WINDOWS = 100_000

Length = float | Refused | None
Lengths = Callable[[Sequence[Path]], Iterable[Length]]
"""How long files say that their video is, in seconds, in the order that is asked; None where it is not known yet."""


def check_windows(ingest: IngestParams, split: SplitParams | None) -> None:
    """Do nothing where windows can be cut as section ``ingest`` says.

    Raises:
        UserError: They would be refused, or would show the same frames in training and test.
    """
    windows = ingest.windows
    if not windows.length_s:
        return
    longest_s = windows.length_s + ingest.min_duration_s
    if windows.length_s < ingest.min_duration_s or longest_s > ingest.max_duration_s:
        raise UserError(
            f"params.yaml: ingest.windows.length_s: it is {windows.length_s:g}, and windows last up to "
            f"min_duration_s more; set it between ingest.min_duration_s ({ingest.min_duration_s:g}) and "
            f"max_duration_s less min_duration_s ({ingest.max_duration_s - ingest.min_duration_s:g})"
        )
    if split is not None and split.by == "time" and windows.step_s < windows.length_s:
        raise UserError(
            f"params.yaml: ingest.windows.stride_s: it is {windows.step_s:g}, less than length_s "
            f"({windows.length_s:g}), and with split.by: time windows that overlap would be trained on and tested on; "
            "set it to length_s or more, or split.by: source"
        )


def cut(
    candidates: Sequence[Candidate], ingest: IngestParams, lengths: Lengths
) -> tuple[list[Candidate], list[Rejected]]:
    """Put windows in the place of candidates that are longer than one.

    Args:
        candidates: Stretches of files; those with a label are cut only where ``windows.labelled`` says so.
        ingest: Section ``ingest``.
        lengths: Asked about files whose end is needed; where it is not known yet, the candidate stays whole.

    Returns:
        The candidates, each clip once, and those whose file does not say how long it is.
    """
    windows = ingest.windows
    if not windows.length_s:
        return list(candidates), []
    is_long = [windows.labelled or candidate.claim.label is None for candidate in candidates]
    open_ended = {
        candidate.claim.path: None
        for candidate, chosen in zip(candidates, is_long, strict=True)
        if chosen and candidate.claim.segment.end_s is None
    }
    ends_s = dict(zip(open_ended, lengths(list(open_ended)), strict=True))
    found: dict[str, Candidate] = {}
    rejected: list[Rejected] = []
    for candidate, chosen in zip(candidates, is_long, strict=True):
        segment = candidate.claim.segment
        end_s = ends_s[candidate.claim.path] if chosen and segment.end_s is None else segment.end_s
        try:
            parts = _parts(candidate, end_s, windows, ingest.min_duration_s) if chosen else [candidate]
        except Refused as refused:
            rejected.append(Rejected(candidate.claim, refused, candidate.clip_id, candidate.fingerprint.sha256))
            continue
        for part in parts:
            found.setdefault(part.clip_id, part)
    return list(found.values()), rejected


def _parts(candidate: Candidate, end_s: Length, windows: WindowParams, shortest_s: float) -> list[Candidate]:
    if isinstance(end_s, Refused):
        raise end_s
    if end_s is None:
        return [candidate]
    segment = candidate.claim.segment
    if (end_s - segment.start_s) / windows.step_s > _MAX_WINDOWS:
        raise Refused(
            f"says that it lasts {end_s:.0f} s, more than {_MAX_WINDOWS:,} windows are not cut", Reason.DURATION
        )
    return [
        replace(
            candidate,
            claim=replace(candidate.claim, segment=window),
            clip_id=clip_id_of(candidate.fingerprint.sha256, window),
        )
        for window in windows_of(segment, end_s, windows, shortest_s)
    ]


def windows_of(stretch: Segment, end_s: float, windows: WindowParams, shortest_s: float) -> list[Segment]:
    """The windows of a stretch.

    Args:
        stretch: What is cut. Where it runs to the file's end, so does the last window, whatever the file declares: what
            it has beyond is then refused as too long and not lost in silence.
        end_s: Where it ends.
        windows: Section ``ingest.windows``.
        shortest_s: The shortest window.
    """
    length_s, step_s = windows.length_s, windows.step_s
    num_whole = math.floor((end_s - stretch.start_s - length_s + _EPSILON_S) / step_s) + 1
    if num_whole < 1:
        return [stretch]
    starts_s = [round(stretch.start_s + step_s * number, 6) for number in range(num_whole)]
    cuts = [Segment(start_s, round(start_s + length_s, 6)) for start_s in starts_s]
    rest_s = round(starts_s[-1] + max(length_s, step_s), 6)
    if end_s - rest_s >= shortest_s - _EPSILON_S:
        return [*cuts, Segment(rest_s, stretch.end_s)]
    is_between = step_s > length_s
    return cuts if is_between else [*cuts[:-1], Segment(starts_s[-1], stretch.end_s)]
