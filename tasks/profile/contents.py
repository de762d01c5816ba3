"""What the page says of a dataset, section by section, as values that its template lays out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes

from models.clips.label_sets import one_row_a_label
from models.clips.manifest import SPLITS, labels_of
from models.clips.shards import ClipStore
from tasks.report import plots
from tasks.report.sheets import Picture, contact_sheet, frame_width

MOST_CLASSES, MOST_SOURCES, MOST_REASONS, MOST_REFUSED = 100, 60, 50, 500
_MOST_SHEETS, _SHEETS_A_CLASS, _FRAMES = 120, 3, 3
_MOST_BARS = 45
_UNLABELLED = "without a label"


@dataclass(frozen=True)
class Group:
    """Clips that share a class, a split or a source.

    Attributes:
        name: What they share.
        clips: How many.
        sources: From how many sources.
        classes: Of how many classes.
        minutes: How long they last together.
        splits: Clips in train, val and test.
        days: First and last day of capture; empty where unknown.
    """

    name: str
    clips: int
    sources: int
    classes: int
    minutes: float
    splits: list[int]
    days: str


def grouped(clips: pd.DataFrame, column: str) -> list[Group]:
    """The clips by ``column``, the largest group first, then by name."""
    return sorted(
        (_group(str(name), rows) for name, rows in clips.groupby(column)), key=lambda group: (-group.clips, group.name)
    )


def _group(name: str, rows: pd.DataFrame) -> Group:
    return Group(
        name,
        len(rows),
        rows["source_id"].nunique(),
        len(labels_of(rows)),
        float((rows["end_s"] - rows["start_s"]).sum() / 60),
        [int((rows["split"] == split).sum()) for split in SPLITS],
        days_of(rows),
    )


def days_of(clips: pd.DataFrame) -> str:
    """First and last day of capture in words; empty where none is known."""
    known = clips["captured_at"].dropna()
    if known.empty:
        return ""
    first, last = f"{known.min():%Y-%m-%d}", f"{known.max():%Y-%m-%d}"
    return first if first == last else f"{first} to {last}"


def over_time(clips: pd.DataFrame) -> list[Markup]:
    """Clips by day (by week or month where there are many) and by hour of the day; none where no time is known."""
    known = clips[clips["captured_at"].notna()]
    if known.empty:
        return []
    captured = known["captured_at"].dt.tz_convert(None)
    per, period = next(
        (name, period)
        for name, letter in (("day", "D"), ("week", "W"), ("month", "M"), ("year", "Y"))
        if (period := captured.dt.to_period(letter)).map(lambda each: each.ordinal).pipe(_span) <= _MOST_BARS
        or letter == "Y"
    )
    first = period.min()
    since = period.map(lambda each: each.ordinal - first.ordinal)
    ticks = {number: str((first + number).start_time.date()) for number in range(int(since.max()) + 1)}
    return [
        _stacked(since, known["split"], ticks, f"Clips by {per} of capture"),
        _stacked(captured.dt.hour, known["split"], {hour: str(hour) for hour in range(24)}, "Clips by hour, UTC"),
    ]


def _span(numbers: "pd.Series[int]") -> int:
    return int(numbers.max() - numbers.min()) + 1


def _stacked(place: "pd.Series[int]", split: "pd.Series[str]", ticks: dict[int, str], title: str) -> Markup:
    counts = [(name, place[split == name].value_counts()) for name in SPLITS]
    bars = [(name, clips, colour) for (name, clips), colour in zip(counts, plots.COLOURS, strict=True)]
    bars.append((_UNLABELLED, place[split.isna()].value_counts(), plots.INK))

    def draw(axes: Axes) -> None:
        below = pd.Series(0, index=list(ticks))
        for name, clips, colour in bars:
            height = clips.reindex(below.index, fill_value=0)
            if height.any():
                axes.bar(below.index, height, bottom=below, color=colour, label=name, width=0.8)
            below = below + height
        step = max(1, -(-len(ticks) // 6))
        axes.set_xticks(list(ticks)[::step], list(ticks.values())[::step])
        axes.set_xlim(-0.6, len(ticks) - 0.4)
        axes.set_ylabel("clips")
        axes.set_title(title, loc="left", fontsize=9, color=plots.INK)
        axes.grid(visible=False, axis="x")
        axes.set_axisbelow(True)

    return plots.svg(draw, plots.WIDE, title)


@dataclass(frozen=True)
class Sheets:
    """Frames of some clips of a class.

    Attributes:
        label: The class.
        pictures: Each with the source that it is of.
    """

    label: str
    pictures: list[tuple[Picture, str]]


def sheets(clips: pd.DataFrame, store: ClipStore, classes: Sequence[str]) -> list[Sheets]:
    """A few clips of each class, each from another source as far as there are so many; then some without a label.

    Raises:
        UserError: A shard is missing or damaged.
    """
    unlabelled = clips[clips["label"].isna()]
    rows = one_row_a_label(clips)
    groups = {label: rows[rows["label"] == label] for label in classes[:_MOST_SHEETS]}
    groups |= {_UNLABELLED: unlabelled} if len(unlabelled) else {}
    chosen = {label: _from_several_sources(rows) for label, rows in groups.items()}
    width = frame_width(sum(map(len, chosen.values())) * _FRAMES)

    def picture(clip: dict[Any, Any]) -> Picture:
        return contact_sheet(store, clip["shard"], clip["row"], columns=_FRAMES, rows=1, width=width)

    return [Sheets(label, [(picture(clip), clip["source_id"]) for clip in rows]) for label, rows in chosen.items()]


def _from_several_sources(clips: pd.DataFrame) -> list[dict[Any, Any]]:
    ordered = clips.sort_values("clip_id")
    turn = ordered.groupby("source_id").cumcount()
    return ordered.loc[turn.sort_values(kind="stable").index[:_SHEETS_A_CLASS]].to_dict("records")


def kinds(clips: pd.DataFrame) -> dict[str, list[tuple[str, int]]]:
    """How many clips have which codec, size and rotation, the most frequent first."""
    size = clips["width"].astype(str) + " x " + clips["height"].astype(str)
    columns = {"codec": clips["codec"], "size in px": size, "rotation in degrees": clips["rotation"].astype(str)}
    return {
        name: [(str(value), int(count)) for value, count in values.value_counts().head(8).items()]
        for name, values in columns.items()
    }


def reasons(refused: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Kind of refusal, how many there are, and one of them in words, the most frequent first.

    Lists of earlier versions know no kinds; there each sentence is one.
    """
    kind = refused["kind"] if "kind" in refused else refused["reason"]
    found = [(str(name), len(rows), str(rows["reason"].iloc[0])) for name, rows in refused.groupby(kind)]
    return sorted(found, key=lambda one: (-one[1], one[0]))
