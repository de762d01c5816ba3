import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.saved import load_model, save_model
from tasks import judge as module
from tasks import layout
from tasks.decisions import decisions, record
from tasks.gate.verdict import Verdict
from tasks.judge import judge
from tasks.params.quality import JudgeParams
from tasks.params.watch import WatchParams
from tasks.promote import promote
from tasks.register import register
from tasks.registry.client import registry
from tasks.watch.outputs import outputs_of, write_watched
from tests.support.registries import own_home
from tests.support.rounds import LABELS, MODEL, params_of, write_round
from tests.tasks.report.test_page import Page


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home with two versions of ``actions`` from the rounds ``one`` and ``two``; nobody is champion."""
    folder = tmp_path_factory.mktemp("judge")
    with own_home(folder / "home"):
        for seed, name in enumerate(("one", "two")):
            enter(write_round(folder / name, seed=seed, clip_ids=clip_ids("cam4")))
    return folder


@pytest.fixture(autouse=True)
def _home(place):
    with own_home(place / "home"):
        yield


def enter(root, name: str = "actions") -> int:
    return register(root, params_of(name), commit="c" * 40, dataset_version="d" * 32)


def judgements(name: str = "actions"):
    return decisions(None, name, "judge")


def as_fast(models, _clips) -> list[float]:
    return [10.0] * len(models)


def shown_report(name: str, version: int, folder: Path) -> str:
    run = registry().get_model_version(name, str(version)).run_id
    return Path(registry().download_artifacts(run, "report.html", str(folder))).read_text()


def test_a_round_is_first_then_compared_with_the_champion_once(place, monkeypatch):
    first = judge(place / "one", params_of(), 1)
    assert (first.outcome, first.champion, first.worlds) == ("first", None, {})
    assert "there is no champion" in first.text
    promote("actions", 1, who="test", why="")
    assert judge(place / "one", params_of(), 1) == first  # a champion keeps what was said of it
    assert len(judgements()) == 1

    verdict = judge(place / "two", params_of(), 2)
    right = [_own_accuracy(place / name) for name in ("one", "two")]
    assert verdict.champion == 1
    assert (verdict.new, verdict.old) == (None, verdict.all)
    assert verdict.all.difference == pytest.approx(right[1] - right[0])
    assert (verdict.all.accuracy, verdict.all.champion_accuracy) == pytest.approx((right[1], right[0]))
    assert verdict.all.low <= verdict.all.difference <= verdict.all.high
    assert (verdict.all.num_clips, verdict.all.num_sources) == (8, 1)
    assert [(each.kind, each.name) for each in verdict.slices] == [
        ("group", "cam4"), ("class", "left"), ("class", "right"),
    ]  # fmt: skip
    assert min(verdict.cost.latency_ms, verdict.cost.champion_latency_ms, verdict.cost.size_mb) > 0
    for _ in range(2):
        described = registry().get_model_version("actions", "2").description.split("\n\n")
        assert described[0] == f"**Verdict** {verdict.text}"
        assert described[1].startswith("Accuracy")
        assert len(described) == 3
        assert judge(place / "two", params_of(), 2) == verdict
    assert verdict.outcome == "undecided"  # a single source says nothing about others
    assert f"{verdict.all.difference:+.3f}" in verdict.text
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
    assert (verdict.new.num_clips, verdict.new.num_sources, verdict.old) == (40, 5, None)
    assert verdict.new.difference >= 0.5  # at best the champion gets all of "left"
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
    assert np.isfinite([evidence["old"][key] for key in ("difference", "low", "high")]).all()


ALL = ("cam0", "cam1", "cam2", "cam3", "cam4")


def clip_ids(*sources: str) -> list[str]:
    return [f"{source}-{label}-{number}" for source in sources for label in LABELS for number in range(4)]


def champion_that_says(label: str, root: Path, *, knows=(), cam3: str | None = None) -> Path:
    """A round whose model gives one answer to everything, and whose reference has cam3 in that split."""
    write_round(root)
    model, _ = load_model(root / layout.MODEL)
    with torch.no_grad():
        model.head.classifier.bias.copy_(torch.tensor([100.0 if each == label else -100.0 for each in LABELS]))
    save_model(root / layout.MODEL, model, MODEL, LABELS, clip_ids=clip_ids(*knows))
    if cam3:
        clips = read_manifest(root / layout.MANIFEST).assign(picture=None)
        clips = clips[clips["source_id"] == "cam3"].assign(split=cam3)
        (root / layout.REFERENCE).parent.mkdir(parents=True)
        write_watched(outputs_of(model, LABELS, root / layout.DATA, clips), root / layout.REFERENCE, weights_sha256="")
    return root


def challenger_that_errs(root: Path, *wrong: str) -> Path:
    """A round whose every clip is a test clip, and right but for those whose name begins with one of ``wrong``."""
    write_round(root, seed=1)
    manifest = read_manifest(root / layout.MANIFEST).assign(split="test")
    write_manifest(manifest, root / layout.MANIFEST)
    errs = manifest["clip_id"].str.startswith(wrong) if wrong else np.zeros(len(manifest), bool)
    other = np.where(manifest["label"] == "left", "right", "left")
    manifest[["clip_id", "label"]].assign(predicted=np.where(errs, other, manifest["label"])).to_parquet(
        root / layout.PREDICTIONS
    )
    return root


def meet(champion: Path, challenger: Path, name: str, measure=as_fast, **rules) -> Verdict:
    """Register both as versions of ``name`` and judge the second; bare ``rules`` have no floors."""
    assert [enter(champion, name), enter(challenger, name)] == [1, 2]
    promote(name, 1, who="test", why="")
    return judge(challenger, params_with(name, **rules), 2, measure=measure)


def params_with(name: str, **rules):
    rules = {"bootstrap": 200, "class_floor": 0.0, "group_floor": 0.0, **rules}
    return params_of(name).model_copy(update={"judge": JudgeParams(**rules)})


@pytest.fixture(scope="module")
def met(place):
    """A champion that always says right and knows cam0 and cam1, and a challenger that errs where they move right."""
    with own_home(place / "home"):
        champion = champion_that_says("right", place / "champion", knows=["cam0", "cam1"])
        challenger = challenger_that_errs(place / "challenger", "cam0-right", "cam1-right", "cam2-left")
        meet(champion, challenger, "met")
    return challenger


def test_what_the_champion_knew_and_what_came_since_are_judged_apart(met):
    verdict = judge(met, params_with("met"), 2, measure=as_fast)
    assert (verdict.old.difference, verdict.old.num_sources) == (0.0, 2)
    assert (verdict.new.difference, verdict.new.num_sources) == (round(1 / 3, 6), 3)
    assert verdict.all.num_sources == 5
    tags = registry().get_model_version("met", "2").tags
    for world in ("new", "old"):
        assert tags[f"videoloop.verdict.{world}.low"] == str(getattr(verdict, world).low)
    assert verdict.text.index("on new video") < verdict.text.index("on old video")
    assert judgements("met")[0].evidence["new"]["num_sources"] == 3


def test_a_class_that_falls_below_its_floor_blocks_and_is_named_everywhere_until_it_does_not(met, tmp_path):
    verdict = judge(met, params_with("met", class_floors={"right": 0.75}), 2, measure=as_fast)
    assert verdict.outcome == "blocked"
    assert verdict.blocks == ("class right is at 0.600 (champion 1.000), below its floor of 0.75",)
    assert registry().get_model_version("met", "2").tags["videoloop.verdict.blocks"] == verdict.blocks[0]
    assert verdict.text.startswith("Version 2 is blocked; apart from that")
    assert "class right is at 0.600 (champion 1.000)" in Page(shown_report("met", 2, tmp_path)).text
    assert judge(met, params_with("met"), 2, measure=as_fast).blocks == ()
    assert "videoloop.verdict.blocks" not in registry().get_model_version("met", "2").tags


def test_a_class_that_is_low_in_the_champion_too_is_told_and_does_not_block(met):
    verdict = judge(met, params_with("met", class_floors={"left": 0.9}), 2, measure=as_fast)
    assert verdict.blocks == ()
    assert "Below a floor, as the champion is: class left is at 0.800 (champion 0.000)" in verdict.text


def test_a_slow_version_and_a_big_one_are_blocked(met):
    slow_and_big = params_with("met", max_size_mb=0.001)
    verdict = judge(met, slow_and_big, 2, measure=lambda *_: [40.0, 10.0])
    assert verdict.outcome == "blocked"
    slow, big = verdict.blocks
    assert "40.0 ms, 4.00 times the champion's 10.0 ms" in slow
    assert "where 0.001 MB is the limit" in big
    assert judge(met, slow_and_big, 2, measure=None) == verdict  # measured once, and believed


def test_golden_clips_that_the_champion_was_trained_on_block_and_do_not_count(tmp_path):
    champion = champion_that_says("right", tmp_path / "champion", knows=ALL, cam3="train")
    verdict = meet(champion, challenger_that_errs(tmp_path / "challenger"), "leak")
    assert (verdict.left_out, verdict.old.num_clips, verdict.new) == (8, 32, None)
    assert verdict.outcome == "blocked"
    assert "8 test clips of cam3 were trained or validated on" in verdict.blocks[0]


def test_where_no_test_clip_was_held_out_nothing_is_called_better(tmp_path):
    champion = champion_that_says("right", tmp_path / "champion", knows=ALL, cam3="train")
    challenger = challenger_that_errs(tmp_path / "challenger")
    manifest = read_manifest(challenger / layout.MANIFEST)
    write_manifest(manifest[manifest["source_id"] == "cam3"], challenger / layout.MANIFEST)
    verdict = meet(champion, challenger, "all-leaked")
    assert (verdict.outcome, verdict.worlds, verdict.left_out) == ("blocked", {}, 8)
    assert "there is no test clip to compare them on" in verdict.text


def test_a_first_version_beyond_a_limit_is_told_and_not_blocked(tmp_path):
    root = challenger_that_errs(tmp_path / "first", "cam0-left", "cam1-left", "cam2-left")
    enter(root, "alone")
    verdict = judge(root, params_with("alone", class_floor=0.5, max_latency_ms=5), 1, measure=as_fast)
    assert (verdict.outcome, verdict.blocks) == ("first", ())
    assert "class left is at 0.400, below its floor of 0.5" in verdict.text
    assert "a clip takes 10.0 ms, where 5 ms is the limit" in verdict.text


def test_a_floor_of_an_unknown_class_or_group_is_a_sentence(place):
    for rules, says in (
        ({"class_floors": {"lft": 0.5}}, "'lft' is no label"),
        ({"group_floors": {"x": 0.5}}, "'x' is"),
    ):
        with pytest.raises(UserError, match=f"judge.*{says}"):
            judge(place / "two", params_with("actions", **rules), 2, measure=as_fast)


def test_a_group_with_a_floor_and_without_a_source_is_a_note(met):
    params = params_with("met", group_floors={"roof": 0.9}).model_copy(
        update={"watch": WatchParams(groups={"roof-*": "roof"})}
    )
    verdict = judge(met, params, 2, measure=as_fast)
    assert verdict.blocks == ()
    assert verdict.text.endswith("There is no test clip for the floor of group roof.")


def test_other_groups_are_other_terms_and_who_promotes_is_not(place):
    promote("actions", 1, who="test", why="")
    before = judge(place / "two", params_with("actions"), 2, measure=as_fast)
    number = len(judgements())
    assert judge(place / "two", params_with("actions", promote="auto"), 2, measure=as_fast) == before
    assert len(judgements()) == number
    grouped = params_with("actions").model_copy(update={"watch": WatchParams(groups={"cam*": "yard"})})
    assert judge(place / "two", grouped, 2, measure=as_fast).slices[0].name == "yard"
    assert len(judgements()) == number + 1


def test_the_report_in_mlflow_gets_the_verdict_and_the_stages_file_stays(place, tmp_path):
    promote("actions", 1, who="test", why="")
    pristine = (place / "two" / layout.REPORT).read_bytes()
    shown = []
    for number in range(2):
        verdict = judge(place / "two", params_of(), 2)
        (tmp_path / str(number)).mkdir()
        shown.append(shown_report("actions", 2, tmp_path / str(number)))
    assert shown[0] == shown[1]
    assert shown[0].count('<section id="gate">') == 1
    assert verdict.text in Page(shown[0]).text
    assert (place / "two" / layout.REPORT).read_bytes() == pristine


def test_a_champion_that_was_judged_before_the_gate_keeps_what_was_said(tmp_path):
    root = write_round(tmp_path / "old", seed=7)
    enter(root, "before")
    said = {
        "version": 1, "champion": None, "outcome": "first", "difference": None, "low": None, "high": None,
        "num_clips": 0, "num_sources": 0, "text": "Version 1 has nothing to be compared with.",
    }  # fmt: skip
    record("judge", "before", "version 1: first", said["text"], said, key="judge:before:1")
    promote("before", 1, who="test", why="")
    verdict = judge(root, params_of("before"), 1, measure=None)
    assert (verdict.outcome, verdict.text, verdict.worlds) == ("first", said["text"], {})
    assert len(judgements("before")) == 1
