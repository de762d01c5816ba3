"""Look at a window: tests, the sequential test, harm, and the clips that moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.statistics.bbsd import bbsd
from tasks.statistics.delay import detection_delay
from tasks.statistics.kolmogorov_smirnov import ColumnTests
from tasks.statistics.mmd import mmd_fuse
from tasks.statistics.outcome import Abstained
from tasks.statistics.permutation import MIN_UNITS
from tasks.statistics.sequential import advance
from tasks.statistics.source_days import source_days
from tasks.statistics.univariate import compare_facts
from tasks.statistics.watch_state import WatchState
from tasks.watch.findings import OVERALL, Findings, Group, Inherited, Test, changed_since
from tasks.watch.harm import harm_in
from tasks.watch.incoming import facts_of
from tasks.watch.memory import Memory
from tasks.watch.mix import class_mix
from tasks.watch.moved import moved_most
from tasks.watch.strata import may_teach, splits_of_sources
from tasks.watch.window import Window, since_change

_DIGITS = 6


def look(
    window: Window, reference: Outputs, memory: Memory, params: WatchParams, now: datetime, seed: int
) -> tuple[Memory, Findings]:
    """What the window shows, and what is remembered after it.

    Args:
        window: Of this champion; not empty.
        reference: Of this champion.
        memory: Before this watch.
        params: Section ``watch``.
        now: The moment of the watch.
        seed: Of every random choice.

    Raises:
        UserError: A number is not finite, or reference and window do not fit each other.
    """
    held_out = reference.part((reference.clips["split"] != "train").to_numpy())
    clips, today = window.outputs.clips, f"{now:%Y-%m-%d}"
    state, set_aside = _advanced(memory, window, seed)
    notes = list(window.notes)
    if set_aside:
        notes.append(
            f"{set_aside} days of a source have fewer than {params.clips_per_day} clips (watch.clips_per_day) and are "
            "not counted"
        )
    looks, alarm = memory.looks, memory.alarm
    if alarm is None and state.alarm is not None:
        alarm = f"{state.alarm} by the sequential test"
    embedding = None
    if memory.look_is_due(today, params):
        embedding = _embedding_test(window.outputs, held_out, params, seed, params.look_level)
        if embedding.p_value is not None:
            looks = (*looks, today)
            if alarm is None and embedding.p_value <= params.look_level:
                alarm = f"{today} by {embedding.name}, p = {embedding.p_value:.2g}"
    compared = _Compared(
        held_out, splits_of_sources(reference), state, alarm is not None, memory.inherited, params, seed
    )
    overall = compared.group(OVERALL, window.outputs)
    if embedding is not None and embedding.p_value is not None:
        overall = overall.model_copy(update={"tests": (embedding, *overall.tests[1:])})
    names = sorted(set(clips["group"]) | set(state.groups))
    groups = [compared.group(name, window.outputs.part((clips["group"] == name).to_numpy())) for name in names]
    findings = Findings(
        key=window.key,
        name=window.champion.name,
        version=window.champion.version,
        now=now,
        notes=tuple(notes),
        alarm=alarm,
        inherited=memory.inherited,
        days_watched=max(0.0, (now - memory.started).total_seconds() / 86_400),
        overall=overall,
        groups=tuple(sorted(groups, key=lambda group: (-group.evidence, group.name))),
        moved=moved_most(window, held_out, params, seed),
        mix=class_mix(window.outputs, held_out, params, seed),
        delay=_delay(state, sorted(set(clips["source_id"])), seed),
    )
    return replace(memory, state=state, looks=looks, alarm=alarm).after(findings), findings


def _advanced(memory: Memory, window: Window, seed: int) -> tuple[WatchState, int]:
    """The sequential test after the days of the window that are over, a check a day, and days that were set aside."""
    clips = window.outputs.clips
    groups = dict(zip(clips["source_id"], clips["group"], strict=True))
    over_N = clips["is_over"].to_numpy(bool)
    units, set_aside = source_days(
        memory.projection,
        window.outputs.embedding_ND[over_N],
        clips.loc[over_N, "source_id"].to_numpy(),
        clips.loc[over_N, "day"].to_numpy(),
        seed=seed,
    )
    state = memory.state
    for day in sorted({unit.day for unit in units}):
        state, _ = advance(state, day, [unit for unit in units if unit.day == day], groups=groups)
    return state, set_aside


@dataclass(frozen=True)
class _Compared:
    """What a part of the window is compared with, and how.

    Attributes:
        held_out: Clips of the reference that the champion did not train on.
        splits: What each source of its dataset was for.
        state: Of the sequential test, after this window.
        alarmed: Whether there is an alarm; then harm is what has come since the change.
        inherited: The alarm of an earlier champion, if that is what it is about.
        params: Section ``watch``.
        seed: Of every random choice.
    """

    held_out: Outputs
    splits: Mapping[str, str]
    state: WatchState
    alarmed: bool
    inherited: Inherited | None
    params: WatchParams
    seed: int

    @property
    def since(self) -> str | None:
        """The day since which the world has changed."""
        if self.inherited:
            return self.inherited.since
        return changed_since(
            self.state.overall.changed_since, [_evidence(self.state, name)[1] for name in self.state.groups]
        )

    def group(self, name: str, part: Outputs) -> Group:
        """What is found in a group of sources, or in all of them."""
        evidence, since = _evidence(self.state, name)
        since = self.since if self.inherited and name == OVERALL else since
        sources = part.clips["source_id"].nunique()
        worth_testing = name == OVERALL or sources >= MIN_UNITS
        harmed = since_change(part, since or self.since) if self.alarmed else part
        return Group(
            name=name,
            sources=sources,
            clips=len(part.clips),
            labelled=int(part.has_known_label().sum()),
            evidence=round(evidence, _DIGITS),
            limit=self.state.limit,
            since=since,
            teaching=int((harmed.has_known_label() & may_teach(harmed, self.splits)).sum()),
            tests=_tests(part, self.held_out, self.params, self.seed) if worth_testing else (),
            harm=harm_in(harmed, self.held_out, self.splits, self.params, self.seed) if len(part.clips) else (),
        )


def _evidence(state: WatchState, name: str) -> tuple[float, str | None]:
    """Of a group: its share of the capital, so that all are read against one limit, and its day if that is reached."""
    if name == OVERALL:
        return state.evidence, state.overall.changed_since
    for place, (group, bettor) in enumerate(state.groups.items(), 1):
        if group == name:
            evidence = 0.5 * bettor.capital / (place * (place + 1))
            # A sum of luck seems to mount since some day in nearly every group that has not changed.
            return evidence, bettor.changed_since if evidence >= state.limit else None
    return 0.0, None


def _embedding_test(part: Outputs, held_out: Outputs, params: WatchParams, seed: int, level: float) -> Test:
    found = mmd_fuse(
        held_out.embedding_ND,
        held_out.clips["source_id"].to_numpy(),
        part.embedding_ND,
        part.clips["source_id"].to_numpy(),
        permutations=params.permutations,
        level=level,
        seed=seed,
    )
    if isinstance(found, Abstained):
        return Test(name="embeddings (MMD)", p_value=None, says=found.reason)
    return Test(name="embeddings (MMD)", p_value=found.p_value, says="")


def _tests(part: Outputs, held_out: Outputs, params: WatchParams, seed: int) -> tuple[Test, ...]:
    units = held_out.clips["source_id"].to_numpy(), part.clips["source_id"].to_numpy()
    shared: dict[str, Any] = {"permutations": params.permutations, "level": params.level, "seed": seed}
    answers = bbsd(held_out.probability_NK, units[0], part.probability_NK, units[1], **shared)
    facts = compare_facts(facts_of(held_out.clips), units[0], facts_of(part.clips), units[1], **shared)
    return (
        _embedding_test(part, held_out, params, seed, params.level),
        _columns("answers (BBSD)", answers, part.labels, params.level),
        Test(name="input facts (KS)", p_value=None, says=facts.reason)
        if isinstance(facts, Abstained)
        else _columns("input facts (KS)", facts.tests, facts.facts, params.level),
    )


def _columns(name: str, found: ColumnTests | Abstained, columns: Any, level: float) -> Test:
    if isinstance(found, Abstained):
        return Test(name=name, p_value=None, says=found.reason)
    changed = [column for column, p_value in zip(columns, found.adjusted_K, strict=True) if p_value <= level]
    return Test(name=name, p_value=found.p_value, says=", ".join(changed))


def _delay(state: WatchState, sources: Sequence[str], seed: int) -> int | None:
    past_days = int(np.median([len(state.later_days.get(source, ())) for source in sources]))
    num_numbers = state.first_UV.shape[1]
    return detection_delay(
        state, 3.0, num_sources=len(sources), past_days=past_days, num_numbers=num_numbers, seed=seed
    )
