"""Take labels back, as ``labels.csv`` of a request or an export of Label Studio or CVAT: all of them, or none."""

import difflib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from models.clips.label_sets import NOTHING, is_multi_label, labels_in
from models.clips.manifest import PSEUDO, labels_of, read_manifest
from models.errors import UserError
from tasks.dataset import alone_in, kept_splits, labelled, settled, store_clips
from tasks.labelling.cells import SKIP, plain, read_rows
from tasks.labelling.cvat import clip_of
from tasks.labelling.label_studio import read_export
from tasks.labelling.table import read_label_table, write_label_table
from tasks.layout import MANIFEST, PERSON_LABELS
from tasks.layouts.claim import checked_label
from tasks.layouts.cvat import read_films
from tasks.layouts.rule import LabelRule
from tasks.params.data import SplitParams
from tasks.report.environment import visible

_MOST_MISTAKES = 20
_NOBODY: list[tuple[str, ...] | None] = [None]


@dataclass(frozen=True)
class Received:
    """What came back.

    Attributes:
        taken: Clips by label that were new or changed.
        repeated: Clips whose label was received before.
        skipped: Clips of which nobody could tell.
        new_classes: Labels that the dataset did not have.
        splits: Clips of ``taken`` by the split that they are in now.
        waiting: Clips by class that cannot be split yet, this and earlier times; see :func:`tasks.dataset.settled`.
    """

    taken: dict[str, int]
    repeated: int
    skipped: int
    new_classes: list[str]
    splits: dict[str, int]
    waiting: dict[str, int]


def receive(
    answers: Path,
    data: Path,
    split: SplitParams,
    *,
    seed: int,
    allowed: Sequence[str] = (),
    new_classes: bool = False,
    replace: bool = False,
) -> Received:
    """Write labels into the label table beside ``data``, and put them on the manifest with their splits.

    Sources keep their splits. Receiving the same file again changes nothing; whenever it is interrupted, the same call
    or the next ingest goes on.

    Args:
        answers: ``.csv`` with the columns ``clip_id`` and ``label``, Label Studio's ``.json``, or CVAT's ``.xml``.
            Where clips may have several labels, a cell has them all, as ``run|walk``, or ``-`` for none of them.
        data: The dataset's folder.
        split: Section ``split``.
        seed: Breaks ties between sources when splitting.
        allowed: Labels that may come; by default those of the dataset.
        new_classes: Whether others may come too.
        replace: Whether a label may differ from the one that a clip has.

    Raises:
        UserError: Something in the file is wrong, each mistake a line with its place and remedy; nothing was taken.
    """
    with alone_in(data):
        known, path = read_manifest(data / MANIFEST.name), data.parent / PERSON_LABELS.name
        several = is_multi_label(known)
        found = _read(answers, several)
        by_person = read_label_table(path)
        may_come = _Labels(allowed or labels_of(known), new_classes, several)
        check = _Check(may_come, _present(known, by_person), replace, data)
        labels = check.all(found)
        changed = {clip_id: label for clip_id, label in labels.items() if by_person.get(clip_id) != label}
        merged = labelled(known, known, by_person | labels)
        outcome = settled(merged, kept_splits(known, data, split, seed), split, seed)
        if changed:  # the table first: what it has, the next ingest puts on the manifest
            write_label_table(by_person | labels, path)
        store_clips(outcome.clips, data, split, seed)
    before = set(labels_of(known)) | _classes(by_person.values(), several)
    splits = outcome.clips.loc[outcome.clips["clip_id"].isin(list(changed)), "split"].value_counts()
    return Received(
        taken=dict(sorted(Counter(changed.values()).items())),
        repeated=len(labels) - len(changed),
        skipped=len(check.skipped - set(labels)),
        new_classes=sorted(_classes(changed.values(), several) - before),
        splits={str(name): int(count) for name, count in splits.items()},
        waiting=outcome.waiting,
    )


def _classes(texts: Iterable[str], several: bool) -> set[str]:
    return {label for text in texts for label in (labels_in(text) if several else (text,))}


@dataclass(frozen=True)
class _Answer:
    """What a person said of a clip; ``labels`` None is that nobody can tell."""

    place: str
    clip_id: str
    labels: tuple[str, ...] | None
    remedy: str


def _read(path: Path, several: bool) -> list[_Answer]:
    if not path.is_file():
        raise UserError(
            f"{path}: there is no such file; give labels.csv of a request, or Label Studio's or CVAT's export"
        )
    how = f"name all of its labels, as run|walk, write {NOTHING} where it has none" if several else "name a class"
    if path.suffix.lower() == ".csv":
        found = [
            _Answer(
                f"{path}: row {row.number}",
                plain(row.cells.get("clip_id", "")),
                _in_cell(row.cells.get("label", ""), several),
                f"{how}, write {SKIP} where nobody can tell, or delete the row",
            )
            for row in read_rows(path, ("clip_id", "label"))
        ]
    elif path.suffix.lower() == ".json":
        found = [
            _Answer(task.place, task.clip_id, labels, "choose a class, or skip the task")
            for task in read_export(path)
            for labels in (task.answers or _NOBODY)
        ]
    elif path.suffix.lower() == ".xml":
        found = [
            _Answer(film.place, clip_of(film.name), film.labels or None, "tag the film with a class")
            for film in read_films(path)
        ]
    else:
        raise UserError(
            f"{path}: labels.csv of a request (.csv), Label Studio's export (.json) or CVAT's (.xml) is expected"
        )
    if not found:
        raise UserError(f"{path}: there are no labels in it; fill in the request, and give that file")
    return found


def _in_cell(text: str, several: bool) -> tuple[str, ...]:
    if not several:
        return (text,)
    return tuple(label.strip() for label in labels_in(NOTHING if plain(text) == NOTHING else text))


def _present(known: pd.DataFrame, by_person: Mapping[str, str]) -> dict[str, str | None]:
    """The label of each clip, None where there is none but a pseudo-label."""
    sure = known["label"].where((known["label_origin"] != PSEUDO) & known["label"].notna(), None)
    present = dict(zip(known["clip_id"], (label if isinstance(label, str) else None for label in sure), strict=True))
    return present | {clip_id: label for clip_id, label in by_person.items() if clip_id in present}


class _Labels:
    """The labels that may come, as people may write them."""

    def __init__(self, allowed: Sequence[str], others: bool, several: bool) -> None:
        self.several = several
        self._others = others
        self._by_form = {_form(form): label for label in allowed for form in (visible(label), label)}
        self._by_likeness = {form.casefold(): label for form, label in self._by_form.items()}

    def __contains__(self, text: str) -> bool:
        return _form(text) in self._by_form

    def meant_together(self, texts: Sequence[str], place: str) -> str:
        """What the manifest says of a clip that ``texts`` are the labels of.

        Raises:
            UserError: One is none that may come, or there are too many.
        """
        if not self.several and len(texts) > 1:
            raise UserError(f"{place}: {len(texts)} classes are chosen in one annotation; leave one")
        labels = [self.meant(text, place) for text in texts]
        return LabelRule(several=True).label(labels, place) if self.several else labels[0]

    def meant(self, text: str, place: str) -> str:
        """The label that ``text`` is.

        Raises:
            UserError: It is none that may come.
        """
        if self.several and text == NOTHING:  # CVAT has it as a tag
            return NOTHING
        for form in map(_form, (text, plain(text))):
            if form in self._by_form:
                return self._by_form[form]
        alike = difflib.get_close_matches(_form(text).casefold(), self._by_likeness, n=1)
        same = _form(text).casefold() in self._by_likeness
        if self._others and not same:
            return checked_label(unicodedata.normalize("NFC", plain(text)), place)
        known = sorted(set(self._by_form.values()))
        shown = ", ".join(map(visible, known[:12])) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
        remedy = f"did you mean {visible(self._by_likeness[alike[0]])}?" if alike else f"known are {shown}"
        more = "" if self._others else "; a class that is new needs --new-classes"
        raise UserError(f"{place}: label {visible(text)!r} is unknown; {remedy}{more}")


def _form(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


@dataclass
class _Check:
    """Goes through the answers and keeps every mistake."""

    labels: _Labels
    present: Mapping[str, str | None]
    replace: bool
    data: Path
    skipped: set[str] = field(default_factory=set)

    def all(self, answers: Iterable[_Answer]) -> dict[str, str]:
        """Labels by clip_id.

        Raises:
            UserError: With every mistake, up to a number that people read.
        """
        labels: dict[str, str] = {}
        places: dict[str, str] = {}
        mistakes: list[str] = []
        for answer in answers:
            try:
                label = self._one(answer)
                if label is None:
                    self.skipped.add(answer.clip_id)
                elif labels.setdefault(answer.clip_id, label) != label:
                    raise UserError(
                        f"{answer.place}: clip {visible(answer.clip_id)} is {visible(label)!r} here and "
                        f"{visible(labels[answer.clip_id])!r} in {places[answer.clip_id]}; agree on one"
                    )
                places.setdefault(answer.clip_id, answer.place.rsplit(": ", 1)[-1])
            except UserError as error:
                mistakes.append(str(error))
        if mistakes:
            more = [f"and {len(mistakes) - _MOST_MISTAKES} more"] if len(mistakes) > _MOST_MISTAKES else []
            raise UserError("\n".join([*mistakes[:_MOST_MISTAKES], *more]))
        return labels

    def _one(self, answer: _Answer) -> str | None:
        place, clip_id = answer.place, answer.clip_id
        if not clip_id:
            raise UserError(f"{place}: clip_id is empty; restore it from the request")
        if clip_id not in self.present:
            raise UserError(
                f"{place}: clip {visible(clip_id)} is not in {self.data / MANIFEST.name}; restore clip_id from the "
                "request, or bring the dataset up to date with `git merge videoloop/latest && dvc checkout`"
            )
        if answer.labels is None or (answer.labels == (SKIP,) and SKIP not in self.labels):
            return None
        if "" in answer.labels or not (answer.labels or self.labels.several):
            raise UserError(f"{place}: label is empty; {answer.remedy}")
        label, present = self.labels.meant_together(answer.labels, place), self.present[clip_id]
        if present not in (None, label) and not self.replace:
            raise UserError(
                f"{place}: clip {visible(clip_id)} is labelled {visible(str(present))!r} already, and "
                f"{visible(label)!r} here; correct the row, or change the label with --replace"
            )
        return label
