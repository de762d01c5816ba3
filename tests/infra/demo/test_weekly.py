from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from infra.demo import weekly
from infra.demo.calendar import Calendar
from infra.demo.weekly import Weekly
from tests.support.rounds import params_of

CALENDAR = Calendar(cameras=3, clips_per_day=4)


@pytest.fixture
def rival(tmp_path, monkeypatch):
    first = SimpleNamespace(name="actions", version=1)
    monkeypatch.setattr(weekly, "watched_version", lambda _name, _version: first)
    monkeypatch.setattr(weekly, "registry", lambda: None)
    monkeypatch.setattr(weekly, "find_version", lambda *_: None)
    monkeypatch.setattr(weekly, "verified_files", lambda *_: Path("first"))
    return Weekly(params_of(), 1, tmp_path)


def test_a_day_is_answered_by_the_model_that_was_trained_before_it(rival, tmp_path):
    for day in (7, 14, 100):
        (tmp_path / f"model-{day:03}").mkdir()
    assert [rival._model(day).name for day in (8, 14, 15, 101)] == ["model-007", "model-007", "model-014", "model-100"]
    assert rival._model(7).parts[0] == "first"


def test_labels_are_true_and_of_clips_drawn_at_random(rival, monkeypatch):
    week = list(CALENDAR.shots(1))
    clips = pd.DataFrame({
        "clip_id": [f"{shot.source_id} {shot.captured_at:%H:%M}" for shot in week],
        "source_id": [shot.source_id for shot in week],
        "at": pd.to_datetime([shot.captured_at for shot in week], utc=True),
    })  # fmt: skip
    monkeypatch.setattr(weekly, "clips_of", lambda *_: clips)
    truth = {f"{shot.source_id} {shot.captured_at:%H:%M}": shot.label for shot in week}
    given = rival._labels(week, week[0].captured_at, 5)
    assert len(given) == 5
    assert given.items() <= truth.items()
    assert given == rival._labels(week, week[0].captured_at, 5)
    assert rival._labels(week, week[0].captured_at, 99) == truth
