"""Which clips the report looks into, and what it shows of them."""

import base64
import io
from pathlib import Path

import av
import pandas as pd
import pytest

from models.build import build_model
from models.clips.shards import ShardFolder
from models.errors import UserError
from tasks import layout
from tasks.report.looks import Look, looks
from tasks.report.results import Round, read_round
from tests.support.results import MODEL, write_results


def seen(root: Path, number: int) -> list[Look]:
    return looks(read_round(root), root, number, shards=ShardFolder(root / layout.SHARDS))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("round"))


@pytest.fixture(scope="module")
def found(workspace: Path) -> Round:
    return read_round(workspace)


@pytest.fixture(scope="module")
def shown(workspace: Path) -> list[Look]:
    return seen(workspace, 6)


def test_the_surest_mistakes_come_first_then_right_clips_of_different_classes(found: Round, shown: list[Look]):
    test = found.predictions[found.predictions["split"] == "test"].sort_values("confidence", ascending=False)
    assert [look.clip_id for look in shown[:3]] == test.loc[~test["correct"], "clip_id"].head(3).tolist()
    assert [look.correct for look in shown] == [False] * 3 + [True] * 3
    assert len({look.label for look in shown[3:]}) == 3
    assert shown[3].clip_id == test.loc[test["correct"], "clip_id"].iloc[0]


def test_without_mistakes_all_are_right_and_with_none_wanted_none_are_read(tmp_path: Path):
    root = write_results(tmp_path, accuracy=1.0, clips_per_class=1)
    assert [look.correct for look in seen(root, 4)] == [True] * 4
    (root / layout.WEIGHTS).unlink()
    assert seen(root, 0) == []
    with pytest.raises(UserError, match=layout.WEIGHTS.name):
        seen(root, 4)


def test_films_play_and_strips_have_a_frame_for_each_bar(shown: list[Look]):
    clip_input = build_model(MODEL, 2, seed=0).clip_input
    for look in shown:
        kind, _, content = look.film.partition(",")
        assert kind == "data:video/mp4;base64"
        with av.open(io.BytesIO(base64.b64decode(content))) as film:
            assert sum(1 for _ in film.decode(video=0)) == clip_input.num_frames
        assert len(look.lost) == min(clip_input.num_frames, 8)
        assert look.strip.width == pytest.approx(len(look.lost) * clip_input.size, rel=0.1)


def test_mistakes_have_the_training_clips_that_are_most_like_them(found: Round, shown: list[Look]):
    split = found.manifest.set_index("source_id")["split"].to_dict()
    for look in shown:
        assert len(look.neighbours) == (0 if look.correct else 3)
        assert all(near.label == look.label and split[near.source] == "train" for near in look.neighbours)
        similarity = pd.Series([near.similarity for near in look.neighbours], dtype=float)
        assert similarity.is_monotonic_decreasing
        assert similarity.between(0.5, 1.0).all()
