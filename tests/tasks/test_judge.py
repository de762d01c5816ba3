import json

import numpy as np
import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from tasks import judge as module
from tasks import layout
from tasks.decisions import decisions
from tasks.judge import judge, outcome_of
from tasks.params import JudgeParams
from tasks.promote import promote
from tasks.register import register
from tasks.registry.client import registry
from tasks.statistics.bootstrap import Interval
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home with two versions of ``actions`` from the rounds ``one`` and ``two``; nobody is champion."""
    folder = tmp_path_factory.mktemp("judge")
    with own_home(folder / "home"):
        for seed, name in enumerate(("one", "two")):
            enter(write_round(folder / name, seed=seed))
    return folder


@pytest.fixture(autouse=True)
def _home(place):
    with own_home(place / "home"):
        yield


def enter(root, name: str = "actions") -> int:
    return register(root, params_of(name), commit="c" * 40, dataset_version="d" * 32)


def judgements(name: str = "actions"):
    return decisions(None, name, "judge")


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.01, 0.3, "better"),
        (0.0, 0.3, "not worse"),
        (-0.02, 0.3, "not worse"),
        (-0.021, 0.3, "undecided"),
        (-0.3, 0.0, "undecided"),
        (-0.3, -0.01, "worse"),
        (-0.015, -0.005, "not worse"),
    ],
)
def test_the_interval_decides(low, high, outcome):
    assert outcome_of(Interval((low + high) / 2, low, high), tolerance=0.02) == outcome


def test_a_round_is_first_then_compared_with_the_champion_once(place, monkeypatch):
    first = judge(place / "one", params_of(), 1)
    assert (first.outcome, first.champion, first.difference) == ("first", None, None)
    assert "there is no champion" in first.text
    promote("actions", 1, who="test", why="")
    assert judge(place / "one", params_of(), 1) == first  # a champion keeps what was said of it
    assert len(judgements()) == 1

    verdict = judge(place / "two", params_of(), 2)
    right = [_own_accuracy(place / name) for name in ("one", "two")]
    assert verdict.champion == 1
    assert verdict.difference == pytest.approx(right[1] - right[0])
    assert verdict.low <= verdict.difference <= verdict.high
    assert (verdict.num_clips, verdict.num_sources) == (8, 1)
    for _ in range(2):
        described = registry().get_model_version("actions", "2").description.split("\n\n")
        assert described[0] == f"**Verdict** {verdict.text}"
        assert described[1].startswith("Accuracy")
        assert len(described) == 3
        assert judge(place / "two", params_of(), 2) == verdict
    assert verdict.outcome == "undecided"  # a single source says nothing about others
    assert f"{verdict.difference:+.3f}" in verdict.text
    assert "rough" in verdict.text

    tags = registry().get_model_version("actions", "2").tags
    assert tags["videoloop.verdict"] == "undecided"
    assert tags["videoloop.verdict.champion"] == "1"
    assert tags["videoloop.verdict.text"] == verdict.text
    assert len(judgements()) == 2

    monkeypatch.setattr(module, "predict", None)  # a second comparison would fail
    assert judge(place / "two", params_of(), 2) == verdict
    assert len(judgements()) == 2


def _own_accuracy(root) -> float:
    predictions = pd.read_parquet(root / layout.PREDICTIONS)
    return float((predictions["predicted"] == predictions["label"]).mean())


def test_other_terms_are_another_judgement(place):
    promote("actions", 1, who="test", why="")
    params = params_of().model_copy(update={"judge": JudgeParams(tolerance=1.0)})
    before = len(judgements())
    assert judge(place / "two", params, 2).outcome == "not worse"
    assert len(judgements()) == before + 1


def test_sources_that_agree_decide_and_classes_are_matched_by_name(place, tmp_path):
    """The champion knows one of the classes under another index, and not the other; the challenger is right."""
    champion, challenger = write_round(tmp_path / "c", labels=["other", "left"]), write_round(tmp_path / "n", seed=1)
    name = "by-name"
    manifest = read_manifest(challenger / layout.MANIFEST)
    manifest["split"] = "test"
    write_manifest(manifest, challenger / layout.MANIFEST)
    clips = manifest.sort_values("clip_id", ignore_index=True)
    clips[["clip_id", "label"]].assign(predicted=clips["label"]).to_parquet(challenger / layout.PREDICTIONS)
    assert [enter(champion, name), enter(challenger, name)] == [1, 2]
    promote(name, 1, who="test", why="")
    verdict = judge(challenger, params_of(name), 2)
    assert (verdict.num_clips, verdict.num_sources) == (40, 5)
    assert verdict.difference >= 0.5  # at best the champion gets all of "left"
    assert verdict.outcome == "better"
    assert "does not know right" in verdict.text


def test_a_version_is_judged_only_with_its_own_results(place, tmp_path):
    with pytest.raises(UserError, match="was not made from"):
        judge(place / "one", params_of(), 2)
    with pytest.raises(UserError, match="there is no version 9"):
        judge(place / "one", params_of(), 9)
    root = write_round(tmp_path / "root", seed=3)
    name = "without-predictions"
    other = write_round(tmp_path / "other", seed=4)
    assert [enter(other, name), enter(root, name)] == [1, 2]
    promote(name, 1, who="test", why="")
    (root / layout.PREDICTIONS).unlink()
    with pytest.raises(UserError, match="predictions for the test clips are missing"):
        judge(root, params_of(name), 2)
    assert judgements(name) == []


def test_the_evidence_is_plain_numbers(place):
    promote("actions", 1, who="test", why="")
    judge(place / "two", params_of(), 2)
    evidence = judgements()[0].evidence
    assert json.loads(json.dumps(evidence)) == evidence
    assert np.isfinite([evidence[key] for key in ("difference", "low", "high")]).all()
