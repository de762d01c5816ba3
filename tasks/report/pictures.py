"""The pictures of the page: an example of each class, and the worst mistakes."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from models.clips.label_sets import one_row_a_label
from models.clips.manifest import SPLITS
from models.clips.shards import ClipStore
from tasks.report.labels import names_several, probability_of_truth
from tasks.report.results import Round
from tasks.report.sections import tested
from tasks.report.sheets import Picture, contact_sheet, frame_width

_MOST_EXAMPLES = 60
_MISTAKE_GRID, _EXAMPLE_GRID = (3, 2), (3, 1)


@dataclass(frozen=True)
class Mistake:
    """A clip that the model got wrong.

    Attributes:
        picture: Its frames.
        label: What it is.
        predicted: What it was taken for.
        confidence: Probability of what it was taken for; of several labels together, were they independent.
        probability: Probability of what it is, likewise.
        source: Where it comes from.
        clip_id: Which clip it is.
    """

    picture: Picture
    label: str
    predicted: str
    confidence: float
    probability: float
    source: str
    clip_id: str


@dataclass(frozen=True)
class Example:
    """A clip of a class.

    Attributes:
        picture: Its frames.
        label: The class.
        clips: Clips of the class by split.
    """

    picture: Picture
    label: str
    clips: dict[str, int]


@dataclass(frozen=True)
class Pictures:
    """The contact sheets.

    Attributes:
        examples: One clip a class, for at most so many classes.
        mistakes: The worst first: least probability of what the clip is.
        num_mistakes: How many there are on the test split.
    """

    examples: list[Example]
    mistakes: list[Mistake]
    num_mistakes: int


def pictures(found: Round, store: ClipStore, worst: int) -> Pictures:
    """Frames of an example of each class and of the worst mistakes."""
    clips = found.manifest[found.manifest["label"].notna()]
    counts = _counts(clips)
    of_train = one_row_a_label(clips[clips["split"] == "train"])
    examples = of_train.drop_duplicates("label").sort_values("label")[:_MOST_EXAMPLES]
    mistakes = _mistakes(found)
    shown = mistakes[:worst]
    width = frame_width(len(shown) * _frames(_MISTAKE_GRID) + len(examples) * _frames(_EXAMPLE_GRID))

    def picture(clip: dict[Any, Any], grid: tuple[int, int]) -> Picture:
        return contact_sheet(store, clip["shard"], clip["row"], columns=grid[0], rows=grid[1], width=width)

    return Pictures(
        [
            Example(picture(clip, _EXAMPLE_GRID), clip["label"], counts[clip["label"]])
            for clip in examples.to_dict("records")
        ],
        [
            Mistake(
                picture(clip, _MISTAKE_GRID),
                clip["label"],
                clip["predicted"],
                clip["confidence"],
                clip["probability"],
                clip["source_id"],
                clip["clip_id"],
            )
            for clip in shown.to_dict("records")
        ],
        len(mistakes),
    )


def _counts(clips: pd.DataFrame) -> dict[str, dict[str, int]]:
    sizes = one_row_a_label(clips).groupby(["label", "split"]).size()
    table = sizes.unstack(fill_value=0).reindex(columns=list(SPLITS), fill_value=0)
    return {label: dict(zip(SPLITS, counts, strict=True)) for label, *counts in table.itertuples()}


def _mistakes(found: Round) -> pd.DataFrame:
    labels: list[str] = found.card["labels"]
    index_of = {label: index for index, label in enumerate(labels)}
    test = tested(found)
    wrong = test[~test["correct"]]
    if names_several(found):
        probability = probability_of_truth(wrong, labels).tolist()
    else:
        probability = [row[index_of[label]] for row, label in zip(wrong["probabilities"], wrong["label"], strict=True)]
    wrong = wrong.assign(probability=probability).sort_values(["probability", "clip_id"])
    return wrong.merge(found.manifest[["clip_id", "shard", "row"]], on="clip_id", validate="one_to_one")


def _frames(grid: tuple[int, int]) -> int:
    return grid[0] * grid[1]
