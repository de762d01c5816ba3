"""The days with a watch, a team and a round that only pretend, so that every way of being stopped can be tried."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import flows.watch
from infra.demo import replay
from infra.demo.calendar import Calendar
from infra.demo.diary import NEVER, VIDEOLOOP, Score, read_days
from infra.demo.replay import Replay
from infra.demo.team import Cost
from tasks.decisions import Decision
from tasks.watch.champion import Champion
from tasks.watch.findings import OVERALL, Findings, Group
from tasks.watch.watch import Watched
from tests.support.rounds import params_of

CALENDAR = Calendar(quiet_days=1, cameras=2, clips_per_day=1, num_frames=3, size=(32, 32))
ACTIONS = {1: ["nothing"], 2: ["label", "retrain"], 3: ["nothing"]}


class Killed(BaseException):
    """A process that ends here."""


@dataclass
class Pretence:
    """A platform that decides as ``ACTIONS`` says, and dies before or after its call number ``dies_at``."""

    dies_at: int | None = None
    champion: int = 1
    calls: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def _called(self, what: str, moment: str) -> None:
        self.calls.append(f"{what} {moment}")
        if self.dies_at == len(self.calls):
            self.dies_at = None
            raise Killed

    def _does(self, what: str) -> None:
        self._called(what, "begins")
        self.seen[what] += 1

    def watch(self, source: str | None, now: datetime) -> Watched:
        number = (now - CALENDAR.date(1)).days
        action = ACTIONS[number][0 if source else 1]
        key = f"{number} {action}"
        self._does(f"watch {key} of {self.champion}")
        findings = Findings(
            key=key, name="actions", version=self.champion, now=now,
            overall=Group(name=OVERALL, sources=2, clips=2, labelled=0, evidence=1.0, limit=200.0),
        )  # fmt: skip
        evidence = {"action": action, "request": "/request"}
        decision = Decision(1, key, datetime.now(UTC), "watch", "actions", action, "because", evidence)
        self._called("watch", "ends")
        return Watched(self._champion_of(), findings, decision)

    def fill_in(self, request: Path, truth: dict[object, str], most: int) -> SimpleNamespace:
        assert (str(request), most, len(truth)) == ("/request", 20, 6)
        return SimpleNamespace(file=request / "labels-done.csv", labels=7)

    def hand_back(self, _answers: Path) -> None:
        self._does("labels")
        self._called("labels", "end")

    def retrain(self, key: str) -> Cost:
        assert key == "2 retrain"
        self._does("round")
        self._called("round", "ends")
        return Cost(60.0, 90.0)

    def promote_if_better(self, _name: str, version: int) -> SimpleNamespace:
        self._does("promotion")
        self.champion = version
        self._called("promotion", "ends")
        return SimpleNamespace(text="better")

    def score(self, _name: str, version: int, *_rest: object) -> Score:
        self._called("score", "begins")
        return Score(right=version, clips=4)

    def _champion_of(self, _name: str = "") -> Champion:
        return SimpleNamespace(version=self.champion)  # type: ignore[return-value]

    def replay(self, folder: Path, patch: pytest.MonkeyPatch) -> Path:
        patch.setattr(flows.watch, "watch", self.watch)
        patch.setattr(replay, "demand_ready", lambda _root: None)
        patch.setattr(replay, "load_params", lambda _path: params_of())
        patch.setattr(replay, "champion_of", self._champion_of)
        patch.setattr(replay, "score_version", self.score)
        for name in ("fill_in", "hand_back", "retrain", "promote_if_better"):
            patch.setattr(replay.team, name, getattr(self, name))
        patch.setattr(replay.team, "version_of", lambda _key: 2)
        return Replay(CALENDAR, folder, 20, 1, Console(quiet=True)).run(3)


def test_labels_are_given_and_the_better_version_answers_from_the_next_day_on(tmp_path, monkeypatch):
    page = Pretence().replay(tmp_path, monkeypatch)
    first, second, third = read_days(tmp_path)
    assert [day.version for day in (first, second, third)] == [1, 1, 2]
    assert [[look.action for look in day.looks] for day in (first, second, third)] == list(ACTIONS.values())
    assert (second.labels, second.training_s, second.round_s) == ({VIDEOLOOP: 7}, {VIDEOLOOP: 60.0}, 90.0)
    assert (second.made, second.promoted, second.verdict) == (2, True, "better")
    assert [day.scores[VIDEOLOOP].right for day in (first, second, third)] == [1, 1, 2]
    assert [day.scores[NEVER].right for day in (first, second, third)] == [1, 1, 1]
    assert page.read_text().count("<svg") == 2


def test_days_that_are_over_are_not_lived_again(tmp_path, monkeypatch):
    first = Pretence()
    first.replay(tmp_path, monkeypatch)
    again = Pretence(champion=2)
    again.replay(tmp_path, monkeypatch)
    assert first.calls
    assert again.calls == []


def test_killed_anywhere_the_same_command_comes_to_the_same_days(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "write_day", lambda _calendar, day, folder, _workers: folder / str(day))
    monkeypatch.setattr(replay, "write_timeline", lambda folder, _name: folder / "timeline.html")
    whole = Pretence()
    whole.replay(tmp_path / "whole", monkeypatch)
    expected = [day.model_dump() for day in read_days(tmp_path / "whole")]
    for dies_at in range(1, len(whole.calls) + 1):
        cut = Pretence(dies_at)
        with pytest.raises(Killed):
            cut.replay(tmp_path / str(dies_at), monkeypatch)
        cut.replay(tmp_path / str(dies_at), monkeypatch)
        assert [day.model_dump() for day in read_days(tmp_path / str(dies_at))] == expected, whole.calls[dies_at - 1]
        # A step may be done again, but nothing else than what an undisturbed replay does.
        assert set(cut.seen) == set(whole.seen)
