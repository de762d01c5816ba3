"""Video comes in by ingest's door: by content, in parts, with what is refused said."""

import shutil
from datetime import UTC, datetime

import pandas as pd
import pytest

from tasks.params.data import IngestParams
from tasks.watch.champion import champion_of
from tasks.watch.incoming import came_in, seen_by, take_in
from tests.support.films import write_film
from tests.support.watched import NAME

FIRST, SECOND = datetime(2026, 2, 1, 9, tzinfo=UTC), datetime(2026, 2, 2, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("watched")


def test_a_folder_without_labels(tmp_path):
    champion, source = champion_of(NAME), tmp_path / "source"
    write_film(source / "cam1" / "a.mp4", seed=1)
    assert take_in(champion, source, IngestParams(), has_labels=False) == []
    assert list(came_in(champion, FIRST)["source_id"]) == ["cam1"]
    (source / "cam1" / "text.mp4").write_text("no film")
    write_film(source / "b.mp4", seed=2)
    (note,) = take_in(champion, source, IngestParams(), has_labels=False)
    assert note.startswith("not taken: cam1/text.mp4 cannot be read as video")
    clips = came_in(champion, SECOND)
    assert dict(zip(clips["source_id"], clips["at"], strict=True)) == {"cam1": FIRST, "b.mp4": SECOND}
    assert clips["label"].isna().all()
    assert not clips["timed"].any()


def test_a_table_with_some_labels_and_times_stays_when_its_files_go(tmp_path):
    champion, source = champion_of(NAME), tmp_path / "source"
    for number in range(2):
        write_film(source / f"{number}.mp4", seed=number)
    table = {"path": ["0.mp4", "1.mp4"], "source_id": "cam", "label": ["left", None],
             "captured_at": ["2026-01-31T10:00:00Z", None]}  # fmt: skip
    pd.DataFrame(table).to_csv(source / "clips.csv", index=False)
    take_in(champion, source, IngestParams(), has_labels=False)
    shutil.rmtree(source)
    clips = came_in(champion, FIRST).sort_values("at")
    assert list(clips["label"].fillna("")) == ["left", ""]
    assert list(clips["timed"]) == [True, False]
    assert list(clips["at"]) == [datetime(2026, 1, 31, 10, tzinfo=UTC), FIRST]


def test_the_champion_sees_each_clip_once(tmp_path, monkeypatch):
    champion, source = champion_of(NAME), tmp_path / "source"
    write_film(source / "cam1" / "a.mp4", seed=1)
    take_in(champion, source, IngestParams(), has_labels=False)
    first = seen_by(champion, came_in(champion, FIRST))
    monkeypatch.setattr("tasks.watch.incoming.load_model", None)
    again = seen_by(champion, came_in(champion, FIRST))
    assert (again.embedding_ND == first.embedding_ND).all()
    assert (again.probability_NK == first.probability_NK).all()
