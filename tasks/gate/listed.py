"""Lists in sentences: as much as a person reads and MLflow stores, and how much more there is."""

from collections.abc import Sequence

_CUT = " ... (cut; the report has all of it)"


def listed(parts: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first ``most`` of ``parts``, and how many more there are."""
    shown = separator.join(parts[:most])
    return shown if len(parts) <= most else f"{shown} and {len(parts) - most} more"


def fitting(text: str, room: int) -> str:
    """``text``, cut and marked as cut where it has more than ``room`` characters; nothing where not even that fits."""
    if len(text) <= room:
        return text
    kept = text[: max(room - len(_CUT), 0)].rstrip()
    return f"{kept}{_CUT}" if kept else ""
