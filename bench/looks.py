"""Each look of the world: is it found, does it hurt, and would the watch retrain: ``python -m bench.looks``.

The champion is that of ``make demo``, watched from a fresh memory. Its cameras are seen for some unchanged days, then
some of them look otherwise. Each day is looked at as the watch does, until there is an alarm and harm is known. Where
the watch asks for labels it gets those of the clips that it would ask about. The truth about the changed days stands
beside what it estimates.
"""

import argparse
import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from bench.machine import describe
from infra.demo.calendar import Calendar, write_day
from infra.demo.looks import LOOKS
from models.clips.manifest import read_manifest
from models.files import replacing
from models.saved import load_model
from tasks.ingest import ingest
from tasks.labelling.choose import choose
from tasks.labelling.draw import draw
from tasks.labelling.outputs import Outputs
from tasks.params.data import IngestParams
from tasks.params.whole import Params
from tasks.params_file import load_params
from tasks.settings import hush, settings
from tasks.watch.champion import Champion, champion_of, reference_of
from tasks.watch.decide import Choice, Past, decide
from tasks.watch.findings import Findings, Harm
from tasks.watch.incoming import facts_of
from tasks.watch.look import look
from tasks.watch.memory import Memory, recall
from tasks.watch.outputs import outputs_of
from tasks.watch.place import watch_folder
from tasks.watch.strata import splits_of_sources
from tasks.watch.window import Window, group_of, in_groups, since_change

_NAME = "bench-looks"
_COLUMNS = ("look", "alarm", "p embeddings", "estimated drop", "true drop", "asked", "measured", "decision", "right")


def main() -> None:
    """Live through each look, and print a row."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--look", nargs="+", default=list(LOOKS), metavar="NAME", help="default: all")
    arguments.add_argument("--quiet-days", type=int, default=10, metavar="N", help="unchanged days before (10)")
    arguments.add_argument("--days", type=int, default=7, metavar="N", help="days with the look, at most (7)")
    arguments.add_argument("--cameras", type=int, default=24, metavar="N", help="how many (24)")
    arguments.add_argument("--every", type=int, default=2, metavar="N", help="every so-many-th camera changes (2)")
    arguments.add_argument("--folder", type=Path, help="where video is kept; default: .videoloop/looks")
    arguments.add_argument("--save", type=Path, metavar="FOLDER", help="write clips for drift_calibration")
    arguments.add_argument("--workers", type=int, default=1, metavar="N", help="processes that render (1)")
    options = arguments.parse_args()
    hush()
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    params, folder = load_params(), options.folder or settings().home / "looks"
    bench = _Bench(params, folder, options.cameras, options.every, options.quiet_days, options.workers)
    print(describe("torch", "numpy"))
    print(f"champion {bench.champion.version}, accuracy {bench.right_before:.3f} on its reference\n")
    print("| " + " | ".join(_COLUMNS) + " |\n" + "|---" * len(_COLUMNS) + "|")
    began = time.perf_counter()
    for name in options.look:
        life = bench.lived(name, options.days)
        print("| " + " | ".join(bench.cells(name, life)) + " |", flush=True)
        if options.save:
            _save(life.seen[options.quiet_days :], options.save / f"{name}.npz")
    if options.save:
        _save(bench.quiet.seen, options.save / "usual.npz")
    print(f"\n{time.perf_counter() - began:.0f} s")


@dataclass
class _Life:
    """What the watch has come to; ``known`` clips were labelled, by request, ``measuring`` ones drawn at random."""

    memory: Memory
    seen: list[Outputs] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    alarmed: str = ""
    known: dict[str, int] = field(default_factory=dict)
    measuring: list[str] = field(default_factory=list)
    findings: Findings | None = None
    choice: Choice | None = None

    def copy(self) -> "_Life":
        """One that goes on by itself."""
        return replace(
            self, seen=list(self.seen), past=list(self.past), known=dict(self.known), measuring=list(self.measuring)
        )


@dataclass(frozen=True)
class _Bench:
    params: Params
    folder: Path
    cameras: int
    every: int
    quiet_days: int
    workers: int

    @cached_property
    def champion(self) -> Champion:
        return champion_of(self.params.base.name)

    @cached_property
    def reference(self) -> Outputs:
        return reference_of(self.champion)

    @cached_property
    def right_before(self) -> float:
        return _right(self.reference.part((self.reference.clips["split"] != "train").to_numpy()))

    @cached_property
    def quiet(self) -> _Life:
        """The days before, which all looks share."""
        watched = replace(self.champion, name=_NAME)  # a memory of its own, begun anew
        shutil.rmtree(watch_folder(_NAME), ignore_errors=True)
        life = _Life(recall(watched, self.reference, self.params.watch, Calendar().date(1), self.params.base.seed))
        for day in range(1, self.quiet_days + 1):
            self._live(life, "base", day)
        return life

    def lived(self, name: str, num_days: int) -> _Life:
        """What becomes of one look."""
        life = self.quiet.copy()
        for day in range(self.quiet_days + 1, self.quiet_days + num_days + 1):
            self._live(life, name, day)
            assert life.choice is not None
            if life.choice.action == "retrain":
                break
        return life

    def _live(self, life: _Life, name: str, day: int) -> None:
        watched, seed = replace(self.champion, name=_NAME), self.params.base.seed
        life.seen.append(self._day(name, day))
        now = Calendar().date(1) + timedelta(days=day, minutes=30)
        window = self._window(watched, life, now)
        life.memory, life.findings = look(window, self.reference, life.memory, self.params.watch, now, seed)
        life.choice = decide(life.findings, life.past, self.params.watch)
        if life.findings.alarm and not life.alarmed:
            after = day - self.quiet_days
            life.alarmed = f"day {after}" if after > 0 else f"FALSE, quiet day {day}"
        if life.choice.action == "label":
            labelled = life.findings.overall.labelled
            asked = Past(str(day), self.champion.version, "label", now, labelled, alarm=life.findings.alarm)
            life.past.append(replace(asked, about=life.choice.about))
            self._answer(life, window)
            window = self._window(watched, life, now)
            _, life.findings = look(window, self.reference, life.memory, self.params.watch, now, seed)
            life.choice = decide(life.findings, life.past, self.params.watch)

    def cells(self, name: str, life: _Life) -> Iterator[str]:
        """Its row of the table."""
        findings, choice = life.findings, life.choice
        assert findings is not None
        assert choice is not None
        known = {harm.how: harm for harm in findings.overall.harm if not harm.of}
        changed = life.seen[self.quiet_days :][-self.params.watch.window_days :]
        true_drop = self.right_before - sum(_right(part) for part in changed) / len(changed)
        hurts, retrains = true_drop > self.params.watch.tolerance, choice.action == "retrain"
        p_value = findings.overall.tests[0].p_value
        yield name
        yield life.alarmed or "no"
        yield "abstains" if p_value is None else f"{p_value:.4f}"
        yield _drop(known.get("estimated"))
        yield f"{true_drop:+.3f}"
        yield str(len(life.known))
        yield _drop(known.get("measured"))
        yield choice.what
        yield "yes" if hurts == retrains else "no"

    def _day(self, name: str, day: int) -> Outputs:
        """What the champion makes of a day, with the true labels."""
        is_quiet = day <= self.quiet_days
        calendar = Calendar("base" if is_quiet else name, self.quiet_days, self.cameras, self.every)
        place = self.folder / f"{'base' if is_quiet else name}-{self.cameras}-{self.every}-{day:02}"
        table = write_day(calendar, day, place / "video", self.workers)
        recipe = IngestParams(**vars(self.champion.recipe), clips_per_shard=self.params.ingest.clips_per_shard)
        ingest(table, place / "data", recipe, None, seed=0, has_labels=False, num_workers=1)
        clips = read_manifest(place / "data" / "manifest.parquet")
        truth = {(shot.source_id, shot.captured_at): shot.label for shot in calendar.shots(day)}
        places = zip(clips["source_id"], clips["captured_at"], strict=True)
        clips["label"] = [truth[source, at.to_pydatetime()] for source, at in places]
        model, labels = load_model(self.champion.folder)[0], self.champion.labels
        outputs = outputs_of(model, labels, place / "data", clips)
        timed = outputs.clips.assign(at=outputs.clips["captured_at"], timed=True, is_over=True)
        return Outputs(timed, outputs.embedding_ND, outputs.probability_NK, labels)

    def _window(self, champion: Champion, life: _Life, now: datetime) -> Window:
        """The last days as the watch sees them: with those labels that are known."""
        parts = life.seen[-self.params.watch.window_days :]
        clips = pd.concat([part.clips for part in parts], ignore_index=True)
        clips = clips.assign(
            day=[f"{at:%Y-%m-%d}" for at in clips["at"]],
            group=[group_of(source, self.params.watch) for source in clips["source_id"]],
            label=clips["label"].where(clips["clip_id"].isin(life.known), None),
            measures=clips["clip_id"].isin(life.measuring),
            asked=clips["clip_id"].map(life.known).fillna(0).astype(int),
        )
        embedding_ND = np.concatenate([part.embedding_ND for part in parts])
        probability_NK = np.concatenate([part.probability_NK for part in parts])
        outputs = Outputs(clips, embedding_ND, probability_NK, champion.labels)
        return Window(champion, outputs, (), f"{now} {len(life.known)}")

    def _answer(self, life: _Life, window: Window) -> None:
        """Label the clips that a request would ask about."""
        assert life.findings is not None
        watch, seed = self.params.watch, self.params.base.seed
        assert life.choice is not None
        about = life.choice.about
        changed = since_change(in_groups(window.outputs, about), life.findings.since_in(about))
        outputs = changed.part(changed.clips["label"].isna().to_numpy())
        at_random = 0 if about else watch.request_at_random
        splits, sources = splits_of_sources(self.reference), outputs.clips["source_id"]
        tested_on = [source for source, split in splits.items() if split == "test"]
        least = math.ceil(watch.request_from_test * at_random)
        drawn_B = draw(sources.tolist(), at_random, seed=seed, tested_on=tested_on, least=least)
        trains_N = np.flatnonzero((sources.map(splits) == "train").to_numpy())
        teaching_N = np.setdiff1d(trains_N, drawn_B)
        left_N = teaching_N if len(teaching_N) else np.setdiff1d(np.arange(len(sources)), drawn_B)
        drawn, others = outputs.part(drawn_B), outputs.part(left_N)
        chosen_B = choose(
            others.embedding_ND,
            others.probability_NK,
            others.clips["source_id"].to_numpy(),
            budget=watch.request_clips - at_random,
            labelled_MD=drawn.embedding_ND,
            seed=seed,
        )
        life.measuring += list(drawn.clips["clip_id"])
        asked = [*drawn.clips["clip_id"], *others.clips["clip_id"].iloc[chosen_B]]
        life.known |= dict.fromkeys(asked, 1 + max(life.known.values(), default=0))


def _save(days: Sequence[Outputs], path: Path) -> None:
    """As bench/drift_worlds.py reads them."""
    clips = pd.concat([day.clips for day in days], ignore_index=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            embedding_ND=np.concatenate([day.embedding_ND for day in days]),
            probability_NK=np.concatenate([day.probability_NK for day in days]),
            source_N=clips["source_id"].to_numpy(str),
            **facts_of(clips),
        )


def _right(outputs: Outputs) -> float:
    return float((outputs.said() == outputs.clips["label"].to_numpy()).mean())


def _drop(harm: Harm | None) -> str:
    if harm is None:
        return ""
    if harm.drop is None:
        return "abstains"
    return f"{harm.drop.estimate:+.3f} ({harm.drop.low:+.3f} to {harm.drop.high:+.3f})"


if __name__ == "__main__":
    main()
