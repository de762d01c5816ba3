"""How many labels a clip may have, and how a source writes several."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.clips.label_sets import NOTHING, SEPARATOR, written
from models.errors import UserError
from tasks.layouts.claim import checked_label
from tasks.params.data import IngestParams

_SWITCH = "ingest.multi_label in params.yaml"


@dataclass(frozen=True)
class LabelRule:
    """What a source's labels are taken for.

    Attributes:
        several: Whether a clip may have several labels, or none of those that are looked for.
        separator: Stands between labels in a cell of a table.
    """

    several: bool = False
    separator: str = SEPARATOR

    @classmethod
    def of(cls, ingest: IngestParams) -> "LabelRule":
        """As section ``ingest`` says it."""
        return cls(ingest.multi_label, ingest.label_separator)

    def in_cell(self, text: str, *, several: bool = False) -> list[str]:
        """The labels that a cell names; ``several`` where its column's name says that there may be many."""
        if not (self.several or several):
            return [text]
        return [] if text == NOTHING else [label.strip() for label in text.split(self.separator)]

    def label(self, labels: Sequence[str], place: Path | str) -> str:
        """What the manifest's column ``label`` says of a clip with ``labels``: one name, or a set of them as text.

        Where several are allowed, no label, or the single one ``-``, says that the clip shows none of them.

        Args:
            labels: What the source says.
            place: Where it says so, for messages.

        Raises:
            UserError: There are too many, one is there twice, or one cannot be a name; the message begins with
                ``place``.
        """
        if not self.several:
            if len(labels) != 1:
                named = " and ".join(repr(label) for label in labels[:2]) or "none of the labels"
                raise UserError(
                    f"{place}: it is {named}, and a clip has one label: leave one, or set {_SWITCH} to true, so that "
                    "clips may have several, or none"
                )
            return checked_label(labels[0], place)
        if list(labels) in ([], [NOTHING]):
            return NOTHING
        for at, label in enumerate(labels):
            if not label:
                raise UserError(f"{place}: one of its labels is empty; remove the {self.separator!r} too many")
            if label in labels[:at]:
                raise UserError(f"{place}: label {label!r} is there twice; remove one of them")
            if SEPARATOR in label or label == NOTHING:
                raise UserError(
                    f"{place}: label {label!r}: where clips have several labels, {SEPARATOR!r} separates them and "
                    f"{NOTHING!r} alone means none; write another name"
                )
        return written(checked_label(label, place) for label in labels)

    def agreed(self, answers: Sequence[tuple[str, ...]], place: str) -> str | None:
        """What people say of a clip, each with the labels that he or she named; None where nobody said anything.

        Where a clip has one label, naming none is saying nothing.

        Raises:
            UserError: They do not agree, or a clip cannot have the labels that they name.
        """
        labels = {self.label(answer, place) for answer in answers if answer or self.several}
        if len(labels) > 1:
            first, second = sorted(labels)[:2]
            raise UserError(f"{place}: it is {first!r} and {second!r}; agree on one, or mark the ground truth")
        return next(iter(labels), None)


ONE_LABEL = LabelRule()
