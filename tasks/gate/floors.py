"""Floors that params.yaml sets by name: whether there is what they name, and a test clip that falls under them."""

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from models.clips.label_sets import is_multi_label, labels_in
from models.clips.manifest import labels_of, read_manifest
from models.errors import UserError
from models.saved import CARD, read_card
from tasks import layout
from tasks.gate.verdict import Slice
from tasks.labelling.table import read_label_table
from tasks.params.quality import JudgeParams
from tasks.params.watch import WatchParams
from tasks.params_file import PARAMS_FILE
from tasks.report.environment import visible
from tasks.watch.window import group_of

_MOST_KNOWN = 20


def demand_known_floors(workspace: Path, judge: JudgeParams, watch: WatchParams) -> None:
    """Check that floors are of classes and groups that exist: a misspelt floor would hold nothing.

    A class exists that the dataset, the label table, the champion or the model of the workspace has; a group that
    ``watch.groups`` names, or a source of the dataset that is its own group. That such a group has no source left is no
    mistake of the one who set its floor; the verdict says it (:func:`idle_floors`).

    Args:
        workspace: With the dataset; nothing needs to be trained yet.
        judge: Section ``judge``.
        watch: Section ``watch``.

    Raises:
        UserError: One does not exist, or the dataset or a model card is damaged.
    """
    manifest = read_manifest(workspace / layout.MANIFEST)
    groups = {*watch.groups.values(), *(group_of(source, watch) for source in manifest["source_id"].unique())}
    _demand("class_floors", "label", judge.class_floors, _classes(workspace, manifest))
    _demand("group_floors", "group or source", judge.group_floors, groups)


def idle_floors(slices: Sequence[Slice], params: JudgeParams) -> list[str]:
    """The classes and groups with a floor of their own of which there is no test clip."""
    there = {(each.kind, each.name) for each in slices}
    return [
        *(f"group {visible(name)}" for name in sorted(params.group_floors) if ("group", name) not in there),
        *(f"class {visible(name)}" for name in sorted(params.class_floors) if ("class", name) not in there),
    ]


def _classes(workspace: Path, manifest: pd.DataFrame) -> set[str]:
    texts = read_label_table(workspace / layout.PERSON_LABELS).values()
    folders = [workspace / folder for folder in (layout.CHAMPION, layout.MODEL)]
    taught = [label for folder in folders if (folder / CARD).exists() for label in read_card(folder)["labels"]]
    by_person = {label for text in texts for label in (labels_in(text) if is_multi_label(manifest) else (text,))}
    return {*labels_of(manifest), *by_person, *taught}


def _demand(field: str, what: str, floors: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(floors) - set(known)):
        close = difflib.get_close_matches(unknown[0], known, n=1)
        shown = ", ".join(map(visible, sorted(known)[:_MOST_KNOWN]))
        remedy = f"did you mean {visible(close[0])}?" if close else f"correct it or take it off (known: {shown})"
        raise UserError(f"{PARAMS_FILE}: judge.{field}: {unknown[0]!r} is no {what} of this dataset; {remedy}")
