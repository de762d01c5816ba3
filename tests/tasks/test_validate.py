import contextlib
import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.clips.shards import StoredClip, write_shard
from models.errors import UserError
from tasks.params.data import NearDuplicateParams, SplitParams, ValidateParams
from tasks.params.whole import BaseParams
from tasks.validate import failure_table, validate
from tasks.validation.facts import class_facts, clip_facts
from tests.support.scenes import FPS, film, stored, times_s

BASE = BaseParams(name="demo")
LIMITS = ValidateParams(min_clips_per_class=3, min_sources_per_class=3, max_imbalance=2.0)
BY_SOURCE, BY_TIME, GIVEN = SplitParams(by="source"), SplitParams(by="time"), SplitParams(by="given")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _untracked(monkeypatch):
    monkeypatch.setattr("tasks.validate.tracked", lambda *_: _Untracked())


class _Untracked:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def metrics(self, values):
        pass

    def artifact(self, path, folder):
        assert (path / "index.html").is_file()


@pytest.fixture
def data(tmp_path):
    """Two labels, three cameras, one in each split; a clip is a second of its camera's film."""
    folder = tmp_path / "data"
    (folder / "shards").mkdir(parents=True)
    rows = [
        _row(f"{camera}-{label}-{number}", camera, label, split, start_s=float(4 * number + 2 * at))
        for camera, split in (("cam0", "train"), ("cam1", "val"), ("cam2", "test"))
        for at, label in enumerate(("jump", "walk"))
        for number in range(2)
    ]
    places = write_shard(folder / "shards", [StoredClip(row["clip_id"], 8, 8, [0.0], [b"jpeg"]) for row in rows])
    for row, (shard, at) in zip(rows, places, strict=True):
        row.update(shard=shard, row=at)
    manifest = pd.DataFrame(rows)
    manifest["captured_at"] = pd.to_datetime(manifest["captured_at"], utc=True)
    write_manifest(manifest, folder / "manifest.parquet")
    return folder


def _row(clip_id, source_id, label, split, start_s):
    return {
        "clip_id": clip_id, "source_id": source_id, "uri": f"{source_id}/film.mp4", "sha256": source_id,
        "label": label, "split": split, "start_s": start_s, "end_s": start_s + 1.0,
        "captured_at": "2026-01-01T00:00:00Z", "codec": "h264", "width": 320, "height": 240, "fps": 25.0,
        "frames": 25, "rotation": 0, "brightness": 100.0, "contrast": 10.0, "sharpness": 1.0, "motion": 1.0,
    }  # fmt: skip


def run(data, split=BY_SOURCE, params=LIMITS):
    """The names of the failed expectations' columns, with the clips or classes that each names."""
    out = data.parent / "results"
    with contextlib.suppress(UserError):
        validate(BASE, params, split, data=data, summary=out / "summary.json", data_docs=out / "data_docs")
    found = json.loads((out / "summary.json").read_text())
    failed = [finding for finding in found["expectations"] if not finding["success"]]
    assert found["success"] == (not failed)
    return {
        finding["column"] or finding["kind"]: sorted(row.get("clip_id", row.get("label")) for row in finding["rows"])
        for finding in failed
    }


def change(data, clip_id, **values):
    manifest = read_manifest(data / "manifest.parquet")
    for column, value in values.items():
        manifest.loc[manifest["clip_id"] == clip_id, column] = value
    write_manifest(manifest, data / "manifest.parquet")


@pytest.mark.parametrize("split", [BY_SOURCE, GIVEN, BY_TIME])
def test_a_good_dataset_passes(data, split):
    assert run(data, split) == {}
    summary = json.loads((data.parent / "results/summary.json").read_text())
    assert (summary["clips"], summary["sources"], summary["classes"]) == (12, 3, 2)
    assert len(summary["expectations"]) > 25


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"end_s": 90.0}, "duration_s"),
        ({"end_s": 4.1}, "duration_s"),
        ({"height": 32}, "short_side_px"),
        ({"width": 32}, "short_side_px"),
        ({"fps": 1.0}, "fps"),
        ({"brightness": 3.0}, "brightness"),
        ({"motion": 0.0}, "motion"),
        ({"label": None}, "half_known"),
        ({"split": None}, "half_known"),
        ({"label_origin": "pseudo"}, "guessed_in"),
        ({"captured_at": pd.Timestamp("2999-01-01", tz="UTC")}, "in_the_future"),
        ({"shard": "0" * 64 + ".arrow"}, "shard_problem"),
        ({"row": 0}, "shard_problem"),
    ],
)
def test_a_bad_clip_is_named(data, values, column):
    change(data, "cam1-walk-1", **values)
    assert run(data)[column] == ["cam1-walk-1"]


@pytest.mark.parametrize("column", ["source_id", "sha256", "fps", "motion"])
def test_a_value_that_is_missing_in_a_manifest_made_by_hand(data, column):
    manifest = read_manifest(data / "manifest.parquet")
    manifest.loc[manifest["clip_id"] == "cam1-walk-1", column] = None
    manifest.to_parquet(data / "manifest.parquet")
    assert run(data, GIVEN)[column] == ["cam1-walk-1"]


def test_unlabelled_clips_without_a_split_are_no_fault(data):
    change(data, "cam1-walk-1", label=None, split=None)
    assert set(run(data)) == set()


def test_a_label_that_is_not_allowed(data):
    assert run(data, params=LIMITS.model_copy(update={"labels": ("jump", "run")})) == {
        "label": [f"cam{camera}-walk-{number}" for camera in range(3) for number in range(2)],
        "clips": ["run"],
        "sources": ["run"],
        "train_clips": ["run"],
        "val_clips": ["run"],
        "test_clips": ["run"],
        "imbalance": ["run"],
    }


def test_a_split_of_another_name(data):
    change(data, "cam1-walk-1", split="holdout")
    assert run(data, GIVEN)["split"] == ["cam1-walk-1"]


def test_a_damaged_shard_is_found(data):
    (shard,) = (data / "shards").iterdir()
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert len(run(data)["shard_problem"]) == 12


def test_classes_that_are_too_small_or_too_uneven(data):
    manifest = read_manifest(data / "manifest.parquet")
    few = manifest[(manifest["label"] == "jump") | (manifest["clip_id"] == "cam0-walk-0")]
    write_manifest(few, data / "manifest.parquet")
    only = ["walk"]
    assert run(data) == {
        "clips": only, "sources": only, "val_clips": only, "test_clips": only, "imbalance": only,
    }  # fmt: skip


def test_one_source_will_do_unless_splits_are_by_source(data):
    manifest = read_manifest(data / "manifest.parquet")
    manifest["source_id"] = "cam0"
    write_manifest(manifest, data / "manifest.parquet")
    assert run(data, BY_TIME) == {}
    assert set(run(data, BY_SOURCE)) == {"splits_of_source", "sources"}


def test_one_class_and_none(data):
    manifest = read_manifest(data / "manifest.parquet")
    write_manifest(manifest[manifest["label"] == "jump"], data / "manifest.parquet")
    assert run(data) == {"expect_table_row_count_to_be_between": []}
    write_manifest(manifest.head(0), data / "manifest.parquet")
    assert "expect_table_row_count_to_be_between" in run(data)


def test_a_clip_that_is_there_twice(data):
    manifest = read_manifest(data / "manifest.parquet")
    twice = pd.concat([manifest, manifest[manifest["clip_id"] == "cam0-jump-0"]])
    write_manifest(twice, data / "manifest.parquet")
    assert run(data) == {
        "clip_id": ["cam0-jump-0"] * 2,
        "expect_compound_columns_to_be_unique": ["cam0-jump-0"] * 2,
    }


def test_a_source_in_two_splits_is_a_leak_unless_the_splits_were_given(data):
    change(data, "cam0-walk-0", split="test")
    of_source = [f"cam0-{label}-{number}" for label in ("jump", "walk") for number in range(2)]
    assert run(data)["splits_of_source"] == of_source
    assert run(data, GIVEN) == {}


def test_the_same_stretch_of_a_file_in_two_splits(data):
    change(data, "cam0-walk-1", split="test", start_s=4.9, end_s=5.9)  # cam0-jump-1 runs from 4 to 5
    assert run(data, GIVEN) == {"shared_with": ["cam0-jump-1", "cam0-walk-1"]}


def test_an_overlap_is_found_behind_longer_clips_and_not_within_a_split(data):
    manifest = read_manifest(data / "manifest.parquet").set_index("clip_id", drop=False)
    manifest.loc["cam0-jump-0", ["start_s", "end_s"]] = [0.0, 20.0]
    facts = clip_facts(manifest, data / "shards", GIVEN, NOW)
    assert facts["shared_with"].isna().all()
    manifest.loc["cam0-walk-1", "split"] = "val"
    facts = clip_facts(manifest, data / "shards", GIVEN, NOW)
    assert facts["shared_with"].dropna().to_dict() == {"cam0-walk-1": "cam0-jump-0", "cam0-jump-0": "cam0-walk-1"}


def test_counts_of_classes(data):
    manifest = read_manifest(data / "manifest.parquet")
    facts = class_facts(manifest, ValidateParams(labels=("jump", "run", "walk"))).set_index("label")
    assert facts.loc["jump"].to_list() == [6, 3, 2, 2, 2, 1.0]
    assert facts.loc["run"].to_list() == [0, 0, 0, 0, 0, 6.0]


def test_the_printed_table_is_short_and_names_the_clips(data, capsys):
    manifest = read_manifest(data / "manifest.parquet")
    manifest["motion"] = 0.0
    manifest.loc[0, "uri"] = "evil\x1b[2J\n.mp4"
    write_manifest(manifest, data / "manifest.parquet")
    with pytest.raises(UserError, match=r"1 of \d+ expectations are not met.*params\.yaml.*index\.html") as raised:
        validate(
            BASE, LIMITS, BY_SOURCE, data=data,
            summary=data.parent / "summary.json", data_docs=data.parent / "docs",
        )  # fmt: skip
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == (
        "clips: Motion (mean difference of successive frames) is between 0.05 and 128 (validate.motion)."
    )
    assert lines[2].split() == ["cam0-jump-0", "evil?[2J?.mp4", "motion", "0"]
    assert lines[3].split() == ["cam0-jump-1", "cam0/film.mp4", "motion", "0"]
    assert lines[-1].strip() == "... and 2 more"
    assert len(lines) == 13
    page = Path(re.search(r"\S+index\.html", str(raised.value))[0])
    assert "cam0-jump-1" in page.read_text(encoding="utf-8")


def test_rows_shown_exactly_at_the_limit_hide_nothing(data):
    from tasks.validation.expectations import Finding

    rows = [{"motion": 0.0, "clip_id": str(number)} for number in range(3)]
    finding = Finding("clips", "Moves.", "kind", "motion", False, 3, rows)
    assert "more" not in failure_table([finding], rows_shown=3)
    assert failure_table([finding], rows_shown=2).endswith("... and 1 more")


def test_data_docs_are_pages_of_their_own_and_the_same_twice(data):
    change(data, "cam1-walk-1", motion=0.0)
    docs = data.parent / "results/data_docs"
    run(data)
    first = {path.name: path.read_bytes() for path in docs.iterdir()}
    assert set(first) == {"index.html", "clips.html", "classes.html", "failed_clips.parquet"}
    shutil.rmtree(docs)
    run(data)
    assert {path.name: path.read_bytes() for path in docs.iterdir()} == first
    for name in ("index.html", "clips.html", "classes.html"):
        page = first[name].decode()
        assert "//" not in page.replace("<!--", "")
        assert str(data.parent) not in page
    assert "cam1-walk-1" in first["index.html"].decode()
    assert "cam1-walk-1" in first["clips.html"].decode()


def test_what_a_stranger_wrote_is_inert_in_data_docs(data):
    hostile = "<img src=x onerror=alert(1)>"
    manifest = read_manifest(data / "manifest.parquet")
    for column in ("clip_id", "source_id", "uri", "sha256", "shard", "label", "split", "codec"):
        manifest.loc[[0, 1], column] = hostile
    manifest.loc[[0, 1, 2], "motion"] = 0.0
    write_manifest(manifest, data / "manifest.parquet")
    assert len(run(data, BY_SOURCE, LIMITS.model_copy(update={"labels": ("jump", hostile + "2")}))) > 8
    pages = [path.read_text() for path in (data.parent / "results/data_docs").glob("*.html")]
    assert not any("<img" in page for page in pages)
    assert all("&lt;img src=x" in page for page in pages)


def test_no_manifest(tmp_path):
    with pytest.raises(UserError, match="videoloop ingest"):
        validate(BASE, LIMITS, BY_SOURCE, data=tmp_path, summary=tmp_path / "s", data_docs=tmp_path / "d")


def test_a_copy_in_another_split_is_named_by_both(data, capsys):
    films = {"cam0-walk-0": film(0, 0), "cam2-walk-0": film(0, 0)[FPS // 2 :]}
    clips = [StoredClip(name, 64, 64, times_s(len(frames)).tolist(), stored(frames)) for name, frames in films.items()]
    for name, (shard, row) in zip(films, write_shard(data / "shards", clips), strict=True):
        change(data, name, shard=shard, row=row, uri=f"{name}.mp4")
    assert run(data) == {}
    copies = NearDuplicateParams(enabled=True)
    assert run(data, params=LIMITS.model_copy(update={"near_duplicates": copies})) == {"copied_by": sorted(films)}
    assert "copied_by cam2-walk-0.mp4 in test" in capsys.readouterr().err
