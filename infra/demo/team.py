"""What people do while the watch runs: they label what they are asked about, commit, and promote what is better."""

import csv
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import chdir
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from flows.label_commands import receive_labels
from flows.train import train
from flows.watch_steps import is_taken_up
from models.errors import UserError
from tasks.decisions import decision, decisions
from tasks.gate.verdict import Verdict
from tasks.labelling.cells import plain
from tasks.layout import DATA, PERSON_LABELS
from tasks.promote import promote
from tasks.repository import git
from tasks.settings import main_checkout
from tasks.watch.watch import ANSWER, is_answered
from tasks.workspace import LATEST, Workspace, checkout_data

logger = logging.getLogger(__name__)

Truth = Mapping[tuple[str, datetime], str]
"""What a clip shows, by its camera and time."""

_PATIENCE_S, _ASK_EVERY_S = 60, 2


class Answers(NamedTuple):
    """What somebody filled in: the file to hand back, and how many labels it has."""

    file: Path
    labels: int


class Cost(NamedTuple):
    """Seconds that a retraining took: of search and training, and of the whole round."""

    training_s: float
    round_s: float


def fill_in(request: Path, truth: Truth, most_per_class: int) -> Answers:
    """Fill in ``labels.csv`` of a labelling request, as somebody does who looked at the clips.

    Rows beyond ``most_per_class`` of a class are left out: they are not done.
    """
    with (request / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    done: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    for row in rows:
        at = datetime.fromisoformat(plain(row["captured_at"]))
        label = truth[plain(row["source_id"]), at]
        if counts[label] < most_per_class:
            counts[label] += 1
            done.append({**row, "label": label})
    answers = request / "labels-done.csv"
    with answers.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(done)
    return Answers(answers, len(done))


def hand_back(answers: Path) -> None:
    """Take labels into the dataset by `videoloop label receive`, and commit them where the next round starts.

    The checkout is brought up to the last round first, as its data are what the labels join.
    """
    checkout = main_checkout()
    with chdir(checkout):
        git(checkout, "merge", "--quiet", "--no-edit", LATEST)
        checkout_data(Workspace("", checkout, "", ""))
        receive_labels(answers)
        git(checkout, "add", "--", PERSON_LABELS.name, f"{DATA}.dvc")
        if git(checkout, "diff", "--cached", "--name-only"):
            git(checkout, "commit", "--quiet", "--message", f"Labels of {answers.parent.name}")


def retrain(key: str) -> Cost:
    """Wait until the round that the watch decided on has ended; return what it took.

    The event starts it on the server. Where that does not happen in time, it is started here.

    Raises:
        UserError: The round failed.
    """
    began, was_taken_up = time.monotonic(), False
    while not is_answered(key):
        if is_taken_up(key):
            was_taken_up = True
        elif was_taken_up and not is_answered(key):
            raise UserError("the retraining failed, see its run in the Prefect UI; the same command starts it again")
        elif time.monotonic() - began > _PATIENCE_S:
            logger.info("no event started the retraining within %d s; it is started here", _PATIENCE_S)
            train(decision=key)
        time.sleep(_ASK_EVERY_S)
    row = decision(f"{ANSWER}:{key}")
    assert row is not None
    return Cost(float(row.evidence["training_s"]), 3600 * float(row.evidence["hours"]))


def version_of(key: str) -> int:
    """The version that the round of decision ``key`` made."""
    row = decision(f"{ANSWER}:{key}")
    assert row is not None
    return int(row.evidence["version"])


def promote_if_better(name: str, version: int) -> Verdict | None:
    """Make ``version`` champion where :func:`would_promote` says so; return the verdict, where there is one."""
    row = next((row for row in decisions(None, name, "judge") if row.evidence["version"] == version), None)
    if row is None:
        return None
    verdict = Verdict.read(row.evidence)
    if would_promote(verdict):
        promote(name, version, who=os.environ.get("USER", "demonstration"), why=verdict.text)
    return verdict


def would_promote(verdict: Verdict) -> bool:
    """Whether people would promote: what is better, and what is not surely so while it gains where the world is now.

    That is: nothing blocks, and on new video it is surely better; or it seems better by more than the tolerance, and
    does not seem worse by more than that on old video.
    """
    if verdict.outcome == "better":
        return True
    new, old, tolerance = verdict.new, verdict.old, verdict.tolerance
    if verdict.outcome not in ("undecided", "not worse") or verdict.blocks or new is None or tolerance is None:
        return False
    gains = new.difference > tolerance and (old is None or old.difference >= -tolerance)
    return new.low > 0 or gains
