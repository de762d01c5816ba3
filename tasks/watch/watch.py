"""One watch: take in, look, decide, write it down. Killed anywhere, the same watch goes on and decides once."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.errors import UserError
from tasks.decisions import Decision, decision, decisions, record
from tasks.labelling.request import clips_of, request
from tasks.labelling.table import read_label_table
from tasks.layout import PERSON_LABELS
from tasks.params.whole import Params
from tasks.settings import main_checkout
from tasks.sources.address import Source
from tasks.watch.champion import Champion, champion_if_any, reference_of
from tasks.watch.decide import REPAIRED, Choice, Past, decide
from tasks.watch.findings import OVERALL, Findings, Group, Inherited
from tasks.watch.incoming import take_in
from tasks.watch.look import look
from tasks.watch.memory import memory_file, recall, remember, settle
from tasks.watch.place import alone_watching, requests_folder
from tasks.watch.strata import splits_of_sources
from tasks.watch.window import before_change, demand_variety, in_groups, since_change, window_of

logger = logging.getLogger(__name__)

KIND = "watch"
ANSWER = "answer"
_BEGUN_ANEW = (
    "the sequential test has other parameters than before, or is of another version of videoloop, and begins anew, "
    "without what it knew; an alarm stays"
)


@dataclass(frozen=True)
class Watched:
    """A watch that has ended.

    Attributes:
        champion: Whom it was about.
        findings: What was found.
        decision: The row of the decision log.
    """

    champion: Champion
    findings: Findings
    decision: Decision

    @property
    def action(self) -> str:
        """``nothing``, ``label`` or ``retrain``."""
        return str(self.decision.evidence["action"])


def watch(
    params: Params,
    now: datetime,
    source: Source | None = None,
    *,
    has_labels: bool = False,
    served: pd.DataFrame | None = None,
) -> Watched | None:
    """Look at incoming video with the champion's eyes, and decide what follows.

    Whatever is wrong with the video, the reference or the clock is a decision to do nothing, with the reason.

    Args:
        params: All of params.yaml.
        now: The moment; days before it are over.
        source: Video that came in; None where all of it is in already.
        has_labels: Whether the source is a folder per class.
        served: Predictions that the service logged; see :func:`tasks.watch.served.served_outputs`.

    Returns:
        None where there is no champion yet: nothing is watched, taken in or written down.

    Raises:
        UserError: There is no such source, or another watch is at work.
    """
    champion = champion_if_any(params.base.name)
    if champion is None:
        logger.warning("%s has no champion yet, so there is nothing to watch", params.base.name)
        return None
    with alone_watching(champion.name):
        notes = take_in(champion, source, params.ingest, has_labels=has_labels) if source else []
        try:
            findings = _findings(champion, params, now, notes, served)
        except UserError as error:
            findings = _halted(champion, params, now, notes, str(error))
        decided = _decided(champion, findings, params)
        if decided.what == REPAIRED:
            settle(champion)
        return Watched(champion, findings, decided)


def _findings(
    champion: Champion, params: Params, now: datetime, notes: Sequence[str], served: pd.DataFrame | None
) -> Findings:
    reference, seed = reference_of(champion), params.base.seed
    memory = recall(champion, reference, params.watch, now, seed, _to_repair(champion))
    if memory.past and now < memory.past[-1].now:
        raise UserError(
            f"the clock went back: the last watch was at {memory.past[-1].now:%Y-%m-%d %H:%M} and this one is at "
            f"{now:%Y-%m-%d %H:%M} (UTC); set it right, or wait"
        )
    if memory.past and memory.begun_now:
        notes = [*notes, _BEGUN_ANEW]
    window = window_of(champion, reference, params.watch, now, notes, served)
    demand_variety(window)
    if known := memory.found(window.key):
        return known
    memory, findings = look(window, reference, memory, params.watch, now, seed)
    remember(champion, memory)
    return findings


def _to_repair(champion: Champion) -> Inherited | None:
    """The alarm that a retraining was to answer which made ``champion``; a chain of them leads to the first."""
    made_by = [one.key for one in past_decisions(champion.name) if one.answered == champion.version]
    row = decision(made_by[-1]) if made_by else None
    if row is None or row.evidence["alarm"] is None:
        return None
    if earlier := row.evidence.get("inherited"):
        return Inherited.model_validate(earlier)
    return Inherited(version=row.evidence["version"], alarm=row.evidence["alarm"], since=row.evidence.get("since"))


def _halted(champion: Champion, params: Params, now: datetime, notes: Sequence[str], reason: str) -> Findings:
    """What is found where nothing can be."""
    content = f"{champion.version} {champion.weights} {now:%Y-%m-%d} {reason}"
    return Findings(
        key=hashlib.sha256(content.encode()).hexdigest()[:16],
        name=champion.name,
        version=champion.version,
        now=now,
        notes=tuple(notes),
        halted=reason,
        overall=Group(
            name=OVERALL, sources=0, clips=0, labelled=0, evidence=1.0, limit=1 / params.watch.sequential_share
        ),
    )


def decision_key(findings: Findings) -> str:
    """The decision log's key of a watch."""
    return f"{KIND}:{findings.name}:{findings.version}:{findings.key}"


def _decided(champion: Champion, findings: Findings, params: Params) -> Decision:
    key = decision_key(findings)
    if known := decision(key):
        return known
    choice, folder = decide(findings, past_decisions(champion.name), params.watch), ""
    if choice.action == "label":
        choice, folder = _request(champion, findings, params, choice)
    evidence = {
        "action": choice.action,
        "version": findings.version,
        "window": findings.key,
        "now": findings.now.isoformat(),
        "labelled": findings.overall.labelled,
        "teaching": findings.overall.teaching,
        "about": list(choice.about),
        "request": folder,
        "groups": findings.changed_groups if findings.alarm else [],
        "evidence": findings.overall.evidence,
        "limit": findings.overall.limit,
        "alarm": findings.alarm,
        "since": findings.since,
        "inherited": findings.inherited.model_dump(mode="json") if findings.inherited else None,
        "tests": {test.name: test.p_value for test in findings.overall.tests},
        "harm": [harm.model_dump(mode="json") for harm in findings.overall.harm],
        "mix": findings.mix.model_dump(mode="json") if findings.mix else None,
        "notes": list(findings.notes),
        "memory": str(memory_file(champion)),
    }
    return record(KIND, champion.name, choice.what, choice.why, evidence, key=key)


def _request(champion: Champion, findings: Findings, params: Params, choice: Choice) -> tuple[Choice, str]:
    """Write the labelling request; the same clips are the same folder, so a killed watch asks once."""
    try:
        reference = reference_of(champion)
        window = window_of(champion, reference, params.watch, findings.now, ())
        asked_about, since = in_groups(window.outputs, choice.about), findings.since_in(choice.about)
        changed = since_change(asked_about, since)
        unlabelled = changed.part(changed.clips["label"].isna().to_numpy())
        if not len(unlabelled.clips):
            return Choice("nothing", "wait for video", f"{choice.why}; every clip since the change has a label"), ""
        splits, watch = splits_of_sources(reference), params.watch
        # Drawn from some groups alone, they would measure these and be taken for a draw from all.
        at_random = 0 if choice.about else min(watch.request_at_random, choice.clips)
        made = request(
            unlabelled,
            champion.incoming,
            requests_folder(),
            budget=choice.clips,
            at_random=at_random,
            to_judge=math.ceil(watch.request_from_test * at_random),
            tested_on=[source for source, split in splits.items() if split == "test"],
            held_out=[source for source, split in splits.items() if split != "train"],
            usual_MD=np.concatenate([reference.embedding_ND, before_change(asked_about, since).embedding_ND]),
            seed=params.base.seed,
            labels=champion.labels,
        )
    except UserError as error:
        return Choice("nothing", "labels are needed and cannot be asked for", f"{choice.why}; {error}"), ""
    asked = f"{choice.why}; {made.clips} clips of {made.sources} sources to label"
    return replace(choice, why=asked), str(made.folder)


def past_decisions(name: str) -> list[Past]:
    """What earlier watches of ``name`` decided, the oldest first, with what came of it."""
    rows = list(reversed(decisions(limit=None, subject=name)))
    answers = {row.evidence["decision"]: row.evidence for row in rows if row.kind == ANSWER}
    try:
        labels = read_label_table(main_checkout() / PERSON_LABELS)
    except UserError:  # whoever looks at the window is told
        labels = {}
    return [_past(row, answers.get(row.key, {}), labels) for row in rows if row.kind == KIND]


def _past(row: Decision, answer: dict[str, Any], labels: Mapping[str, str]) -> Past:
    asked = clips_of(Path(row.evidence["request"])) if row.evidence["request"] else []
    return Past(
        row.key,
        row.evidence["version"],
        row.evidence["action"],
        datetime.fromisoformat(row.evidence["now"]),
        row.evidence["labelled"],
        answer.get("version"),
        answer.get("hours"),
        row.evidence["request"],
        row.evidence["alarm"],
        row.evidence.get("teaching", row.evidence["labelled"]),
        tuple(row.evidence.get("about", ())),
        len(labels.keys() & set(asked)),
        len(asked),
    )


def unanswered(name: str, version: int) -> list[Decision]:
    """Decisions to retrain about the champion ``version`` whose round has not ended, the oldest first."""
    waiting = {one.key for one in past_decisions(name) if one.action == "retrain" and one.answered is None}
    rows = reversed(decisions(limit=None, subject=name, kind=KIND))
    return [row for row in rows if row.key in waiting and row.evidence["version"] == version]


def is_answered(key: str) -> bool:
    """Whether a round has ended that the decision ``key`` started."""
    return decision(f"{ANSWER}:{key}") is not None


def answer(name: str, key: str, *, version: int, hours: float, training_s: float) -> None:
    """Write down that the round which decision ``key`` started has ended.

    Args:
        name: The registered model.
        key: Of the decision.
        version: That the round made.
        hours: That all of it took.
        training_s: Seconds of these that were search and training.
    """
    record(
        ANSWER,
        name,
        f"the retraining ended with version {version}",
        f"the watch had decided it ({key})",
        {"decision": key, "version": version, "hours": hours, "training_s": training_s},
        key=f"{ANSWER}:{key}",
    )
