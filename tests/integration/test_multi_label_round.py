"""A round of clips that have several labels, by what the stages call: from a table of films to answers and labels."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from models.errors import UserError
from models.saved import card_is_multi_label, read_card, read_clip_ids
from models.spec import ModelParams
from tasks import layout
from tasks.evaluate import evaluate
from tasks.fine_tune import fine_tune
from tasks.ingest import ingest
from tasks.judge import judge
from tasks.labelling.receive import receive
from tasks.params.data import IngestParams, SplitParams, ValidateParams
from tasks.params.quality import EvaluateParams, ExportParams, JudgeParams, ReportParams
from tasks.params.training import FinalJobParams
from tasks.params.watch import WatchParams
from tasks.params.whole import BaseParams, Params
from tasks.predict import predict
from tasks.profile.page import profile
from tasks.promote import promote
from tasks.reference import reference
from tasks.register import register
from tasks.report.page import report
from tasks.validate import validate
from tasks.validation.facts import class_facts
from tasks.watch.adopt import adopt, named_in
from tasks.watch.page import render
from tasks.watch.watch import Watched, watch
from tests.support import results
from tests.support.labelled_films import THINGS, write_day, write_films
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
        epochs=24, lr=0.001, backbone_lr_scale=1.0, label_smoothing=0.0, calibration="temperature", num_threads=1
    ),
    evaluate=EvaluateParams(bootstrap=100),
    export=ExportParams(formats=()),
    judge=JudgeParams(bootstrap=100),
    watch=WatchParams(
        warm_up_days=0, first_looks=2, permutations=200, bootstrap=100, request_clips=40, request_at_random=30
    ),
)
DAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose model is registered and champion; beside it lie its films and the home."""
    place = tmp_path_factory.mktemp("sets")
    films, root = write_films(place / "films", num_sources=18), place / "round"
    root.mkdir()
    for folder in ("models", "tasks"):
        (root / folder).symlink_to(ROOT / folder)
    with own_home(place / "home"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        summary = ingest(films, layout.DATA, PARAMS.ingest, PARAMS.split, seed=0)
        assert (summary.clips, summary.classes, summary.unlabelled) == (144, 3, 0)
        validate(PARAMS.base, PARAMS.validate_, PARAMS.split)
        fine_tune(PARAMS.base, PARAMS.model, PARAMS.fine_tune)
        evaluate(PARAMS.base, PARAMS.evaluate)
        reference(PARAMS.base)
        results.write_search()
        report(PARAMS.base, ReportParams(worst=2, explained=2), PARAMS.evaluate, {}, workspace=root)
        (root / "dvc.lock").write_text("first")
        version = register(root, PARAMS, commit="c" * 40, dataset_version="d")
        promote("things", version, who="test", why="")
    return root


@pytest.fixture
def champion(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That workspace, as the working directory."""
    monkeypatch.chdir(trained)
    with own_home(trained.parent / "home"):
        yield trained


def test_from_a_table_to_answers(champion: Path, tmp_path: Path) -> None:
    films = champion.parent / "films"
    with pytest.raises(UserError, match=r"made with ingest\.multi_label: true"):
        ingest(films, layout.DATA, IngestParams(short_side=40), PARAMS.split, seed=0)
    clips = read_manifest(layout.MANIFEST)
    assert class_facts(clips, ValidateParams())["clips"].tolist() == [72, 72, 72]
    metrics = json.loads(layout.METRICS.read_text())
    assert metrics["map"] > metrics["before"]["majority"]["map"] + 0.1
    assert set(metrics["per_class"]) == set(THINGS)
    predictions = pd.read_parquet(layout.PREDICTIONS)
    assert (predictions["correct"] == (predictions["label"] == predictions["predicted"])).all()
    assert "Mean average precision is" in layout.REPORT.read_text()
    profile("things", tmp_path / "profile.html")
    seen, broken = predict([films / "cam0-door-lamp.mp4", films / "clips.csv"], "things")
    assert seen.labels is not None
    assert seen.label == ("|".join(sorted(seen.labels)) or "-")
    assert set(seen.probabilities) == set(THINGS)
    assert broken.labels is None
    (champion / "dvc.lock").write_text("second")
    verdict = judge(
        champion,
        PARAMS,
        register(champion, PARAMS, commit="e" * 40, dataset_version="d"),
        measure=lambda *_: [1.0, 1.0],
    )
    assert (verdict.outcome, verdict.measure) == ("not worse", "mean average precision")
    assert {each.name for each in verdict.slices if each.kind == "class"} == set(THINGS)


def test_a_change_is_found_asked_about_and_measured(champion: Path, tmp_path: Path) -> None:
    cameras = range(30, 40)
    write_day(tmp_path / "usual", cameras, DAY)
    usual = watched(DAY + timedelta(days=1), tmp_path / "usual")
    assert (usual.decision.what, usual.findings.alarm) == ("nothing to do", None)
    assert usual.findings.overall.clips == 10 * 8

    truth = write_day(tmp_path / "negative", cameras, DAY + timedelta(days=8), negative=True)
    found = watched(DAY + timedelta(days=9), tmp_path / "negative")
    assert (found.action, found.findings.overall.labelled) == ("label", 0)
    asked = Path(found.decision.evidence["request"]) / "labels.csv"
    with asked.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    came_in = read_manifest(found.champion.incoming / "manifest.parquet").set_index("clip_id")
    for row in rows:
        row["label"] = truth[Path(came_in["uri"][row["clip_id"]]).name]
    with asked.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    wanted = named_in(asked.read_text(encoding="utf-8-sig"), PARAMS.ingest)
    assert adopt(layout.DATA, PARAMS.ingest, PARAMS.split, seed=0, wanted=wanted) == 40
    received = receive(asked, layout.DATA, PARAMS.split, seed=0)
    assert (sum(received.taken.values()), received.skipped) == (40, 0)
    assert "-" in received.taken
    validate(PARAMS.base, PARAMS.validate_, PARAMS.split)

    later = watched(DAY + timedelta(days=10))
    (measured,) = [harm for harm in later.findings.overall.harm if harm.how == "measured"]
    assert (later.findings.overall.labelled, measured.clips) == (40, 30)
    assert measured.after is not None
    is_right = [row["predicted"].removeprefix("'") == row["label"] for row in rows[:30]]  # those drawn at random
    assert measured.after.estimate == pytest.approx(sum(is_right) / 30)
    assert "accuracy measured on 30 clips is" in later.decision.why
    assert "Accuracy is the share of clips that are given exactly their labels." in render(later, PARAMS)

    again = tmp_path / "again"
    job = PARAMS.fine_tune.model_copy(update={"epochs": 2})
    fine_tune(PARAMS.base, PARAMS.model, job, champion=later.champion.folder, out=again, curves=tmp_path / "curves.csv")
    assert wanted <= read_clip_ids(again)
    assert card_is_multi_label(read_card(again))


def watched(day: date, source: Path | None = None) -> Watched:
    found = watch(PARAMS, datetime(day.year, day.month, day.day, 9, tzinfo=UTC), source)
    assert found is not None
    return found
