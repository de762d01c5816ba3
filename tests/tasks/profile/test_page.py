import re

import numpy as np
import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from tasks.profile.contents import over_time
from tasks.profile.page import profile
from tests.support.dataset import write_dataset

HOSTILE = '<img src="http://127.0.0.1/x" onerror="alert(1)">\u202egpj.exe'


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "data", labels=("left", "right", HOSTILE))


def page_of(data):
    profile("test", data.parent / "out" / "profile.html", data=data)
    return (data.parent / "out" / "profile.html").read_text(encoding="utf-8")


def text_of(page):
    return " ".join(re.sub(r"<style.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_counts_by_class_source_and_split(data):
    text = text_of(page_of(data))
    assert "60 clips of 3 classes from 5 sources." in text
    assert "left 20 5 0.27 12 4 4 " in text
    assert "cam0 12 3 0.16 12" in text
    assert "The latest ingest refused no file." in text


def test_that_clips_of_several_labels_count_for_each_is_said(data):
    said = "A clip counts once for each of its labels; - are clips that show none of them."
    assert said not in text_of(page_of(data))
    manifest = read_manifest(data / "manifest.parquet").assign(label="left|right")
    write_manifest(manifest.assign(labels=None), data / "manifest.parquet")
    text = text_of(page_of(data))
    assert said in text
    assert "60 clips of 2 classes" in text


def test_every_name_is_inert(data):
    page = page_of(data)
    assert '<img src="http' not in page
    assert "&lt;img" in page
    assert "\u202e" not in page
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []


def test_what_was_refused_and_why(data):
    reasons = ["is empty (0 bytes)", "is empty (0 bytes)", "has no picture"]
    paths = [f"cam/{number}<b>.mp4" for number in range(3)]
    quarantine = pd.DataFrame({"path": paths, "reason": reasons, "kind": ["file", "file", "no_video"]})
    quarantine.to_parquet(data / "quarantine.parquet")
    page = page_of(data)
    assert "3 were refused" in text_of(page)
    assert "file 2 is empty (0 bytes) no_video 1 has no picture" in text_of(page)
    assert "cam/2&lt;b&gt;.mp4" in page


def test_clips_without_labels_and_with_times(data):
    manifest = read_manifest(data / "manifest.parquet")
    manifest["captured_at"] = pd.date_range("2026-01-01", periods=len(manifest), freq="7h", tz="UTC")
    manifest.loc[manifest["label"] == "right", ["label", "split"]] = None
    write_manifest(manifest, data / "manifest.parquet")
    page = page_of(data)
    assert "20 have no label yet" in text_of(page)
    assert "2026-01-01 to 2026-01-18" in text_of(page)
    assert "Clips by day of capture" in page
    assert "without a label" in page


@pytest.mark.parametrize(("days", "per"), [(1, "day"), (40, "day"), (200, "week"), (900, "month"), (9_000, "year")])
def test_no_plot_has_more_bars_than_can_be_read(days, per):
    captured_at = pd.to_datetime("2026-01-01", utc=True) + pd.to_timedelta(np.linspace(0, days - 1, 50), unit="D")
    clips = pd.DataFrame({"captured_at": captured_at, "split": "train"})
    assert f"Clips by {per} of capture" in over_time(clips)[0]


def test_the_same_dataset_gives_the_same_page(data):
    assert page_of(data) == page_of(data)


def test_without_a_dataset(tmp_path):
    with pytest.raises(UserError, match="there is no dataset here"):
        page_of(tmp_path / "nothing")
