"""What the service logged is watched like video that came in."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tasks.watch.champion import champion_of
from tasks.watch.incoming import seen_by
from tasks.watch.place import incoming_folder
from tasks.watch.served import served_outputs
from tasks.watch.watch import watch
from tests.support.watched import FIRST_DAY, NAME, Clips, cameras, comes_in, watch_params, write_clips

NOW = FIRST_DAY + timedelta(days=10)
FACTS = {"brightness": 60.0, "contrast": 10.0, "sharpness": 1.0, "motion": 1.0, "fps": 10.0, "width": 40, "height": 40}

pytestmark = pytest.mark.usefixtures("watched")


def logged(champion, clips, **changes):
    """As tasks.serve logs its answers to ``clips``."""
    seen = seen_by(champion, clips.assign(at=clips["captured_at"], timed=True))
    rows = pd.DataFrame({
        "at": clips["captured_at"], "source_id": clips["source_id"], "sha256": clips["clip_id"],
        "version": champion.version, "probabilities": list(seen.probability_NK), "embedding": list(seen.embedding_ND),
        **FACTS,
    })  # fmt: skip
    return rows.assign(**changes)


@pytest.fixture
def answers():
    champion = champion_of(NAME)
    clips = write_clips(incoming_folder(champion.recipe), Clips(cameras(40, 60), days=(8,), strange=True))
    rows = logged(champion, clips)
    comes_in(Clips(cameras(60, 61), days=(8,)))
    return champion, rows


def test_strange_video_that_was_only_served_raises_the_alarm(answers):
    found = watch(watch_params(), NOW, served=answers[1])
    assert found.findings.overall.sources == 21
    assert found.findings.alarm is not None


def test_another_versions_answers_are_not_looked_at(answers):
    champion, rows = answers
    assert len(served_outputs(champion, rows.assign(version=7)).clips) == 0
    found = watch(watch_params(), NOW, served=rows.assign(version=7))
    assert found.findings.overall.clips == 4


def test_a_video_counts_once_and_needs_a_source(answers):
    champion, rows = answers
    twice = pd.concat([rows, rows.head(3), rows.tail(2).assign(sha256=["a", "b"], source_id=None)])
    found = served_outputs(champion, twice)
    assert len(found.clips) == len(rows) == 80
    assert np.isfinite(found.embedding_ND).all()
