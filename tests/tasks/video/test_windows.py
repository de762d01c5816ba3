import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from models.clips.manifest import read_manifest
from models.errors import UserError
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams, WindowParams
from tasks.video.clips import WHOLE, Job, Segment
from tasks.video.pool import Outcomes
from tasks.video.windows import check_windows, windows_of
from tests.support.videos import pictures, write_video


def bounds(stretch: Segment, end_s: float, length_s: float, stride_s: float = 0) -> list[tuple[float, float | None]]:
    windows = WindowParams(length_s=length_s, stride_s=stride_s)
    return [(window.start_s, window.end_s) for window in windows_of(stretch, end_s, windows, 0.5)]


@pytest.mark.parametrize(
    ("end_s", "stride_s", "expected"),
    [
        (2.9, 0, [(0.0, None)]),
        (3.0, 0, [(0.0, None)]),
        (3.4, 0, [(0.0, None)]),
        (3.5, 0, [(0.0, 3.0), (3.0, None)]),
        (9.0, 0, [(0.0, 3.0), (3.0, 6.0), (6.0, None)]),
        (9.3, 0, [(0.0, 3.0), (3.0, 6.0), (6.0, None)]),
        (6.0, 1.5, [(0.0, 3.0), (1.5, 4.5), (3.0, None)]),
        (6.6, 1.5, [(0.0, 3.0), (1.5, 4.5), (3.0, 6.0), (6.0, None)]),
        (9.0, 5, [(0.0, 3.0), (5.0, 8.0)]),
        (11.0, 5, [(0.0, 3.0), (5.0, 8.0), (10.0, None)]),
    ],
)
def test_whole_windows_as_they_fit_and_what_is_left(
    end_s: float, stride_s: float, expected: list[tuple[float, float | None]]
) -> None:
    assert bounds(WHOLE, end_s, 3, stride_s) == expected


def test_a_stretch_ends_where_it_says() -> None:
    assert bounds(Segment(10.0, 17.0), 17.0, 3) == [(10.0, 13.0), (13.0, 16.0), (16.0, 17.0)]
    assert bounds(Segment(10.0, 12.0), 12.0, 3) == [(10.0, 12.0)]


def test_windows_that_touch_cover_every_second_and_never_drift() -> None:
    cuts = bounds(WHOLE, 3600.0, 0.7)
    assert len(cuts) == 5143
    assert all(before[1] == after[0] for before, after in itertools.pairwise(cuts))
    assert cuts[5000][0] == 3500.0


@pytest.mark.parametrize(
    ("windows", "by", "expected"),
    [
        ({"length_s": 60}, "source", "length_s: it is 60, and windows last up to"),
        ({"length_s": 0.1}, "source", "set it between ingest.min_duration_s (0.2) and"),
        ({"length_s": 10, "stride_s": 5}, "time", "stride_s: it is 5, less than length_s (10)"),
    ],
)
def test_windows_that_cannot_be_are_refused_at_the_start(windows: dict[str, float], by: str, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        check_windows(IngestParams(windows=windows), SplitParams(by=by))
    assert expected in str(raised.value)


PARAMS = IngestParams(
    short_side=32, max_fps=5, min_duration_s=0.5, max_duration_s=5, windows=WindowParams(length_s=2.0)
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8.4 seconds of one camera."""
    return write_video(tmp_path_factory.mktemp("films") / "cam1" / "film.mp4", pictures(84))


def stretches(data: Path) -> list[tuple[str, float, float]]:
    manifest = read_manifest(data / "manifest.parquet").sort_values("start_s")
    return [(row.source_id, row.start_s, round(row.end_s, 6)) for row in manifest.itertuples()]


def test_a_film_becomes_windows_once(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take() -> int:
        found = ingest(film.parents[1], tmp_path, PARAMS, None, seed=0, has_labels=False, num_workers=1)
        return found.new_clips

    assert take() == 4
    assert stretches(tmp_path) == [("cam1", 0.0, 2.0), ("cam1", 2.0, 4.0), ("cam1", 4.0, 6.0), ("cam1", 6.0, 8.4)]
    monkeypatch.setattr("tasks.video.intake.decode_all", decodes_nothing)
    assert take() == 0


def decodes_nothing(jobs: Iterable[Job], **_: object) -> Iterator[Outcomes]:
    assert list(jobs) == []
    yield from ()


def test_a_stretch_with_a_label_is_cut_only_where_that_is_asked_for(film: Path, tmp_path: Path) -> None:
    path = film.parent / "clips.csv"
    path.write_text("path,label,start_s,end_s\nfilm.mp4,walk,1,6\n")
    [whole] = stretches_of(path, tmp_path / "whole", PARAMS)
    assert whole[1:] == (1.0, 6.0)
    cut = PARAMS.model_copy(update={"windows": WindowParams(length_s=2.0, stride_s=1.5, labelled=True)})
    assert [part[1:] for part in stretches_of(path, tmp_path / "cut", cut)] == [(1.0, 3.0), (2.5, 4.5), (4.0, 6.0)]


def stretches_of(table: Path, data: Path, params: IngestParams) -> list[tuple[str, float, float]]:
    ingest(table, data, params, None, seed=0, num_workers=1)
    return stretches(data)


def test_files_without_a_length_or_without_video_are_named(film: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_video(source / "live.mkv", pictures(20), container_options={"live": "1"})
    (source / "text.mp4").write_text("no video")
    shutil.copy(film, source / "film.mp4")
    found = ingest(source, tmp_path / "data", PARAMS, None, seed=0, has_labels=False, num_workers=1)
    reasons = dict(found.quarantined)
    assert found.clips == 4
    assert "does not say how long it lasts, so that no windows can be cut" in reasons["live.mkv"]
    assert "cannot be read as video" in reasons["text.mp4"]
