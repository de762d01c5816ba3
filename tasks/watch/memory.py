"""What the watch remembers of a champion: the sequential test, and what every earlier watch has found.

One file that is replaced whole. A watch that was killed before that is done again; after it, it is not: the file has
its findings under its key, and source-days count once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from models.errors import UserError
from models.files import replacing
from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.statistics.sequential import start_watch
from tasks.statistics.source_days import Projection, fit_projection, source_days
from tasks.statistics.strangeness import num_views
from tasks.statistics.watch_state import WatchState
from tasks.watch.champion import Champion
from tasks.watch.findings import Findings, Inherited
from tasks.watch.place import watch_folder


@dataclass(frozen=True)
class Memory:
    """All that is remembered.

    Attributes:
        terms: What the sequential test was begun with; under others it begins anew.
        started: The moment of the first watch.
        state: Of the sequential test.
        projection: From embeddings to what the sequential test looks at.
        looks: Days of first looks; see ``watch.first_looks``.
        alarm: What raised the alarm, and when; it stays for the champion's life.
        inherited: What the alarm is about where this champion was made to repair it.
        past: What was found, oldest first.
        begun_now: Whether this is the first watch with these terms.
    """

    terms: str
    started: datetime
    state: WatchState
    projection: Projection
    looks: tuple[str, ...] = ()
    alarm: str | None = None
    inherited: Inherited | None = None
    past: tuple[Findings, ...] = ()
    begun_now: bool = False

    def found(self, key: str) -> Findings | None:
        """What the watch ``key`` has found, if it was finished."""
        return next((findings for findings in self.past if findings.key == key), None)

    def look_is_due(self, today: str, params: WatchParams) -> bool:
        """Whether the whole window may raise the alarm today: on the first days of watching, once a day."""
        return self.alarm is None and len(self.looks) < params.first_looks and today not in self.looks

    def after(self, findings: Findings) -> "Memory":
        """With one more watch."""
        return replace(self, past=(*self.past, findings))


def memory_file(champion: Champion) -> Path:
    """Where the memory of ``champion`` lies."""
    return watch_folder(champion.name) / f"v{champion.version}-{champion.weights[:12]}.json"


def recall(
    champion: Champion,
    reference: Outputs,
    params: WatchParams,
    now: datetime,
    seed: int,
    inherited: Inherited | None = None,
) -> Memory:
    """The memory of ``champion``, begun where there is none or where it was begun with other parameters.

    A champion that was made to repair what an earlier one was alarmed by begins with that alarm (``inherited``). What
    changed before its life is usual to it, so its own test would never find it.

    Raises:
        UserError: The file is damaged, or the reference has too few clips to begin with.
    """
    terms, path = _terms(params, seed), memory_file(champion)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        past = tuple(Findings.model_validate(findings) for findings in content["past"])
        if content["terms"] != terms:
            begun = _begun(champion, reference, params, terms, now, seed, past)
            return replace(
                begun, looks=tuple(content["looks"]), alarm=content["alarm"], inherited=_read_inherited(content)
            )
        return Memory(
            terms,
            datetime.fromisoformat(content["started"]),
            WatchState.from_dict(content["state"]),
            _read_projection(champion, terms),
            tuple(content["looks"]),
            content["alarm"],
            _read_inherited(content),
            past,
        )
    except FileNotFoundError:
        begun = _begun(champion, reference, params, terms, now, seed, ())
        if inherited is None:
            return begun
        return replace(begun, alarm=f"{inherited.alarm}, under version {inherited.version}", inherited=inherited)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        problem = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: the watch's memory is damaged ({problem}); move the file away, and the watch of this champion "
            "begins anew"
        ) from None


def past_findings(champion: Champion) -> tuple[Findings, ...]:
    """What watches of ``champion`` have found, the oldest first; nothing where its memory cannot be read."""
    try:
        content = json.loads(memory_file(champion).read_text(encoding="utf-8"))
        return tuple(Findings.model_validate(findings) for findings in content["past"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return ()


def remember(champion: Champion, memory: Memory) -> None:
    """Write the memory, all or nothing."""
    content: dict[str, Any] = {
        "terms": memory.terms,
        "started": memory.started.isoformat(),
        "state": memory.state.to_dict(),
        "looks": list(memory.looks),
        "alarm": memory.alarm,
        "inherited": memory.inherited.model_dump(mode="json") if memory.inherited else None,
        "past": [findings.model_dump(mode="json") for findings in memory.past],
    }
    with replacing(memory_file(champion)) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def settle(champion: Champion) -> None:
    """Forget an inherited alarm: what it was about is repaired, and the champion's own life begins."""
    content = json.loads(memory_file(champion).read_text(encoding="utf-8"))
    with replacing(memory_file(champion)) as temporary:
        temporary.write_text(json.dumps({**content, "alarm": None, "inherited": None}), encoding="utf-8")


def day_of(moments: Sequence[datetime]) -> list[str]:
    """The days of moments, in UTC; of unknown ones a day before all others."""
    return ["" if moment != moment or moment is None else f"{moment:%Y-%m-%d}" for moment in moments]


def _begun(
    champion: Champion,
    reference: Outputs,
    params: WatchParams,
    terms: str,
    now: datetime,
    seed: int,
    past: tuple[Findings, ...],
) -> Memory:
    is_held_out_N = (reference.clips["split"] != "train").to_numpy()
    held_out, trained_on = reference.part(is_held_out_N), reference.part(~is_held_out_N)
    # Fitted on clips that the champion trained on: neither of the reference that is compared, nor of any window.
    projection = fit_projection(
        trained_on.embedding_ND,
        trained_on.clips["source_id"].to_numpy(),
        clips_per_unit=params.clips_per_day,
        num_components=params.components,
        seed=seed,
    )
    units, _ = source_days(
        projection,
        held_out.embedding_ND,
        held_out.clips["source_id"].to_numpy(),
        day_of(list(held_out.clips["captured_at"])),
        seed=seed,
    )
    state = start_watch(units, false_alarm=params.sequential_share, within_day=params.within_day, seed=seed)
    _write_projection(champion, terms, projection)
    return Memory(terms, now, state, projection, past=past, begun_now=True)


def _read_inherited(content: Mapping[str, Any]) -> Inherited | None:
    return Inherited.model_validate(content["inherited"]) if content.get("inherited") else None


def _terms(params: WatchParams, seed: int) -> str:
    content = [
        num_views(params.within_day),
        params.sequential_share,
        params.within_day,
        params.clips_per_day,
        params.components,
        params.groups,
        seed,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


# Kept and not made again: another machine's last digits may turn a component round.
def _projection_file(champion: Champion, terms: str) -> Path:
    return memory_file(champion).with_suffix(f".{terms}.npz")


def _write_projection(champion: Champion, terms: str, projection: Projection) -> None:
    with replacing(_projection_file(champion, terms)) as temporary, temporary.open("wb") as file:
        np.savez(file, **vars(projection))


def _read_projection(champion: Champion, terms: str) -> Projection:
    with np.load(_projection_file(champion, terms), allow_pickle=False) as arrays:
        fields = {name: arrays[name] for name in arrays.files}
    return Projection(**fields | {"clips_per_unit": int(fields["clips_per_unit"])})
