"""A round of clips that have several labels: from a table of films to answers, by what the stages call."""

import json
from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from models.errors import UserError
from models.spec import ModelParams
from tasks import layout
from tasks.evaluate import evaluate
from tasks.fine_tune import fine_tune
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.params.data import IngestParams, SplitParams, ValidateParams
from tasks.params.quality import EvaluateParams, ExportParams, JudgeParams, ReportParams
from tasks.params.training import FinalJobParams
from tasks.params.whole import BaseParams, Params
from tasks.predict import predict
from tasks.profile.page import profile
from tasks.promote import promote
from tasks.reference import reference
from tasks.register import register
from tasks.report.page import report
from tasks.validate import validate
from tasks.validation.facts import class_facts
from tests.support import results
from tests.support.labelled_films import THINGS, write_films
from tests.support.registries import own_home

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PARAMS = Params(
    base=BaseParams(name="things"),
    ingest=IngestParams(short_side=40, multi_label=True),
    split=SplitParams(val=0.3),
    validate=ValidateParams(short_side_px=(8, 4320)),
    model=ModelParams(family="c3d", flavour="debug"),
    fine_tune=FinalJobParams(
        epochs=16, lr=0.005, backbone_lr_scale=1.0, label_smoothing=0.0, calibration="temperature", num_threads=1
    ),
    evaluate=EvaluateParams(bootstrap=100),
    export=ExportParams(formats=()),
    judge=JudgeParams(bootstrap=100),
)


def test_from_a_table_to_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = write_films(tmp_path / "films", num_sources=14)
    root = tmp_path / "round"
    root.mkdir()
    monkeypatch.chdir(root)
    for folder in ("models", "tasks"):
        (root / folder).symlink_to(ROOT / folder)
    with own_home(tmp_path / "home"):
        single = IngestParams(short_side=40)
        summary = ingest(films, layout.DATA, PARAMS.ingest, PARAMS.split, seed=0)
        assert (summary.clips, summary.classes, summary.unlabelled) == (112, 3, 0)
        with pytest.raises(UserError, match=r"made with ingest\.multi_label: true"):
            ingest(films, layout.DATA, single, PARAMS.split, seed=0)
        clips = read_manifest(layout.MANIFEST)
        assert class_facts(clips, ValidateParams())["clips"].tolist() == [56, 56, 56]
        validate(PARAMS.base, PARAMS.validate_, PARAMS.split)
        fine_tune(PARAMS.base, PARAMS.model, PARAMS.fine_tune)
        evaluate(PARAMS.base, PARAMS.evaluate)
        metrics = json.loads(layout.METRICS.read_text())
        assert metrics["map"] > metrics["before"]["majority"]["map"] + 0.1
        assert set(metrics["per_class"]) == set(THINGS)
        predictions = pd.read_parquet(layout.PREDICTIONS)
        assert (predictions["correct"] == (predictions["label"] == predictions["predicted"])).all()
        reference(PARAMS.base)
        results.write_search()
        report(PARAMS.base, ReportParams(worst=2, explained=2), PARAMS.evaluate, {}, workspace=root)
        assert "Mean average precision is" in layout.REPORT.read_text()
        profile("things", tmp_path / "profile.html")
        (root / "dvc.lock").write_text("first")
        version = register(root, PARAMS, commit="c" * 40, dataset_version="d")
        promote("things", version, who="test", why="")
        seen, broken = predict([films / "cam0-door-lamp.mp4", films / "clips.csv"], "things")
        assert seen.labels is not None
        assert seen.label == ("|".join(sorted(seen.labels)) or "-")
        assert set(seen.probabilities) == set(THINGS)
        assert broken.labels is None
        (root / "dvc.lock").write_text("second")
        verdict = judge(
            root, PARAMS, register(root, PARAMS, commit="e" * 40, dataset_version="d"), measure=lambda *_: [1.0, 1.0]
        )
        assert (verdict.outcome, verdict.measure) == ("not worse", "mean average precision")
        assert {each.name for each in verdict.slices if each.kind == "class"} == set(THINGS)
