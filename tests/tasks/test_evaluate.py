import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from models.build import build_model
from models.clips.label_sets import NOTHING, labels_in
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.predict import predict
from models.saved import save_model
from models.spec import ModelParams
from tasks import evaluate as stage
from tasks import layout
from tasks.evaluate import evaluate
from tasks.evaluation import classes
from tasks.evaluation.clips import splits_of
from tasks.params.quality import EvaluateParams
from tasks.params.whole import BaseParams
from tests.support.dataset import write_dataset

ROOT = Path(__file__).parents[2]
BASE = BaseParams(name="test", seed=4)
PARAMS = EvaluateParams(bootstrap=100, bins=5, batch_size=8)
MODEL = ModelParams(family="efficientnet_lite0", flavour="debug")
LABELS = ["left", "right"]


class Recorder:
    """A tracker that remembers."""

    def __init__(self) -> None:
        self.logged: dict[str, float] = {}
        self.files: list[str] = []

    def metrics(self, values: dict[str, float]) -> None:
        self.logged |= values

    def artifact(self, path: Path) -> None:
        assert path.exists()
        self.files.append(path.name)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()

    @contextmanager
    def tracked(stage: str, experiment: str) -> Iterator[Recorder]:
        assert (stage, experiment) == ("evaluate", "test")
        yield recorder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "tracked", tracked)
        yield recorder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    save_model(folder, build_model(MODEL, len(LABELS), seed=3), MODEL, LABELS)
    return folder


@pytest.fixture(scope="module")
def results(data: Path, model: Path, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "evaluate"
    evaluate(BASE, PARAMS, data=data, model=model, out=out)
    return out


@pytest.fixture(scope="module")
def metrics(results: Path) -> dict:
    return json.loads((results / "metrics.json").read_text(encoding="utf-8"))


def test_metrics_say_what_was_tested(metrics: dict):
    assert (metrics["clips"], metrics["sources"], metrics["classes"]) == (8, 1, 2)
    assert (metrics["accuracy_low"], metrics["accuracy_high"], metrics["interval_is_rough"]) == (0.0, 1.0, True)
    assert metrics["per_class"]["left"]["clips"] == metrics["per_class"]["right"]["clips"] == 4
    assert metrics["per_source"] == {"cam4": {"accuracy": metrics["accuracy"], "clips": 8}}


def test_metrics_agree_with_the_predictions(metrics: dict, results: Path, data: Path, model: Path):
    predictions = pq.read_table(results / "predictions.parquet").to_pandas()
    assert predictions.groupby("split").size().to_dict() == {"test": 8, "val": 8}
    test = predictions[predictions["split"] == "test"]
    assert metrics["accuracy"] == pytest.approx(test["correct"].mean())
    assert metrics["per_class"]["left"]["recall"] == pytest.approx(test["correct"][test["label"] == "left"].mean())
    probabilities = np.stack(test["probabilities"])
    assert [LABELS[index] for index in probabilities.argmax(1)] == test["predicted"].tolist()
    assert test["confidence"].to_numpy() == pytest.approx(probabilities.max(1))
    truth = probabilities[np.arange(8), [LABELS.index(label) for label in test["label"]]]
    assert metrics["loss"] == pytest.approx(-np.log(truth).mean(), abs=1e-5)


def test_before_is_the_model_as_it_started(metrics: dict, data: Path):
    clips = read_manifest(data / "manifest.parquet")
    clips = clips[clips["split"] == "test"]
    started = build_model(MODEL, len(LABELS), seed=BASE.seed)
    predicted = predict(started, ClipLoader(data, clips, LABELS, started.clip_input, 8)).argmax(1)
    assert metrics["before"]["initial"]["accuracy"] == np.mean([LABELS[at] for at in predicted] == clips["label"])
    assert metrics["before"]["majority"]["accuracy"] == 0.5


def test_gains_are_differences(metrics: dict):
    for name, before in metrics["before"].items():
        gain = metrics["gain"][f"over_{name}"]
        assert gain["difference"] == pytest.approx(metrics["accuracy"] - before["accuracy"])
        assert gain["low"] <= gain["difference"] <= gain["high"]


def test_a_linear_classifier_finds_what_pretrained_features_hold(
    data: Path, model: Path, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def features(model: torch.nn.Module, loader: ClipLoader) -> torch.Tensor:
        label_N = torch.cat([batch.label_B for batch in loader.epoch(0)]).float()
        noise_NTD = torch.randn(len(label_N), 4, 24, generator=torch.Generator().manual_seed(0))
        noise_NTD[:, :, 0] += 20 * label_N[:, None]
        return noise_NTD

    monkeypatch.setattr(classes, "plain_features", features)
    evaluate(BASE, PARAMS, data=data, model=model, out=tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["before"]["pretrained_features"]["accuracy"] == 1.0


def test_tables_for_plots(results: Path, metrics: dict):
    confusion = pd.read_csv(results / "confusion.csv")
    assert (confusion["actual"] == confusion["predicted"]).mean() == pytest.approx(metrics["accuracy"])
    bins = pd.read_csv(results / "reliability.csv")
    assert bins["clips"].sum() == 8
    gap = ((bins["confidence"] - bins["accuracy"]).abs() * bins["clips"]).sum() / 8
    assert metrics["ece"] == pytest.approx(gap, abs=1e-5)


def test_without_calibration_before_and_after_are_the_same(metrics: dict):
    assert metrics["temperature"] == 1.0
    assert metrics["ece_uncalibrated"] == pytest.approx(metrics["ece"], abs=1e-5)
    assert metrics["loss_uncalibrated"] == pytest.approx(metrics["loss"], abs=1e-5)


def test_a_calibrated_model_is_measured_as_it_answers_and_as_it_was(
    metrics: dict, data: Path, recorder: Recorder, tmp_path: Path
):
    calibrated = build_model(MODEL, len(LABELS), seed=3)
    calibrated.temperature = 0.1
    save_model(tmp_path / "model", calibrated, MODEL, LABELS)
    evaluate(BASE, PARAMS, data=data, model=tmp_path / "model", out=tmp_path / "out")
    found = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert (found["accuracy"], found["temperature"]) == (metrics["accuracy"], 0.1)
    assert found["loss"] != pytest.approx(metrics["loss"], abs=1e-3)
    assert found["loss_uncalibrated"] == pytest.approx(metrics["loss"], abs=1e-4)
    assert found["ece_uncalibrated"] == pytest.approx(metrics["ece"], abs=1e-4)


def test_slices_are_measured_and_the_worst_is_named(data: Path, model: Path, recorder: Recorder, tmp_path: Path):
    def half_in_the_dark(manifest: pd.DataFrame) -> None:
        manifest["split"] = "test"
        manifest.loc[manifest["source_id"] == "cam0", "split"] = "train"
        manifest.loc[manifest["source_id"] == "cam1", "split"] = "val"
        manifest["source_id"] = manifest["clip_id"]
        night = manifest["label"] == "left"
        manifest["captured_at"] = pd.to_datetime("2026-01-01T03:00Z")
        manifest.loc[~night, "captured_at"] = pd.to_datetime("2026-01-01T13:00Z")

    with torch.no_grad():
        biased = build_model(MODEL, len(LABELS), seed=3)
        biased.head.classifier.bias.copy_(torch.tensor([-100.0, 100.0]))
    save_model(tmp_path / "model", biased, MODEL, LABELS)
    evaluate(BASE, PARAMS, data=changed(data, tmp_path, half_in_the_dark), model=tmp_path / "model", out=tmp_path / "o")
    parts = pd.read_csv(tmp_path / "o" / "slices.csv").set_index("slice")
    assert parts.loc[["00 to 06 h", "12 to 18 h"], "accuracy"].tolist() == [0.0, 1.0]
    assert parts.index[parts["worse"]].tolist() == ["00 to 06 h"]
    worst = json.loads((tmp_path / "o" / "metrics.json").read_text(encoding="utf-8"))["worst_slice"]
    assert (worst["by"], worst["slice"], worst["clips"]) == ("hour of day (UTC)", "00 to 06 h", 12)
    assert recorder.logged["slice.hour of day UTC: 12 to 18 h"] == 1.0
    assert recorder.logged["slices_worse"] == 1.0


def test_mlflow_gets_numbers_without_names_of_classes_and_all_files(results: Path, metrics: dict, recorder: Recorder):
    assert recorder.logged["accuracy"] == pytest.approx(metrics["accuracy"], abs=1e-6)
    assert recorder.logged["before.majority.accuracy"] == 0.5
    assert "gain.over_initial" in recorder.logged
    assert not [name for name in recorder.logged if "left" in name or "cam4" in name]
    assert {"metrics.json", "predictions.parquet", "confusion.csv", "reliability.csv", "slices.csv"} <= set(
        recorder.files
    )


def test_same_inputs_give_the_same_bytes(results: Path, data: Path, model: Path, recorder: Recorder, tmp_path: Path):
    evaluate(BASE, PARAMS, data=data, model=model, out=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in results.iterdir())
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (results / path.name).read_bytes(), path.name


def changed(data: Path, tmp_path: Path, change) -> Path:
    """A copy of the dataset whose manifest went through ``change``."""
    copy = tmp_path / "data"
    copy.mkdir()
    (copy / "shards").symlink_to(data / "shards")
    manifest = read_manifest(data / "manifest.parquet")
    change(manifest)
    write_manifest(manifest, copy / "manifest.parquet")
    return copy


def relabel(label: str | None):
    def change(manifest: pd.DataFrame) -> None:
        manifest.loc[manifest["clip_id"] == "cam4-left-0", "label"] = label

    return change


def test_clips_without_label_do_not_count(data: Path, model: Path, recorder: Recorder, tmp_path: Path):
    evaluate(BASE, PARAMS, data=changed(data, tmp_path, relabel(None)), model=model, out=tmp_path / "out")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["clips"] == 7
    assert metrics["per_class"]["left"]["clips"] == 3


def test_what_cannot_be_measured_is_said(data: Path, model: Path, recorder: Recorder, tmp_path: Path):
    def only_left(manifest: pd.DataFrame) -> None:
        manifest.loc[(manifest["split"] == "train") & (manifest["label"] == "right"), "split"] = "val"

    def nothing_to_test(manifest: pd.DataFrame) -> None:
        manifest.loc[manifest["split"] == "test", "split"] = "val"

    cases = {"'up'": relabel("up"), "no labelled clip is in test": nothing_to_test, "a single label": only_left}
    for number, (message, change) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(UserError, match=message):
            evaluate(BASE, PARAMS, data=changed(data, folder, change), model=model, out=folder / "out")
        assert not (folder / "out").exists()


def test_where_no_clip_of_the_test_has_any_label_the_split_is_named(data: Path):
    manifest = read_manifest(data / "manifest.parquet")
    is_test_N = manifest["split"] == "test"
    manifest["label"] = manifest["label"].where(~is_test_N, NOTHING)
    manifest["labels"] = [labels_in(text) for text in manifest["label"]]
    with pytest.raises(UserError, match="no clip in test has any label"):
        splits_of(manifest, ["left", "right"], data / "manifest.parquet", multi_label=True)


def test_labels_cannot_break_out_of_the_page_that_dvc_makes(data: Path, recorder: Recorder, tmp_path: Path):
    hostile = "<script>alert(1)<!--"

    def rename(manifest: pd.DataFrame) -> None:
        manifest["label"] = manifest["label"].replace("left", hostile)

    labels = sorted([hostile, "right"])
    save_model(tmp_path / "model", build_model(MODEL, 2, seed=0), MODEL, labels)
    evaluate(BASE, PARAMS, data=changed(data, tmp_path, rename), model=tmp_path / "model", out=tmp_path / "out")
    assert "<" not in (tmp_path / "out" / "confusion.csv").read_text(encoding="utf-8")
    assert hostile in json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["per_class"]


@pytest.mark.integration
def test_dvc_shows_and_compares_metrics_and_plots(results: Path, tmp_path: Path):
    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dvc = (sys.executable, "-m", "dvc")
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.invalid")
    out = tmp_path / layout.METRICS.parent
    out.mkdir(parents=True)
    for path in results.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    outputs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]
    described = {key: outputs[key] for key in ("outs", "metrics", "plots")}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"evaluate": {"cmd": "true", **described}}}))
    run(*git, "init", "-q")
    run(*dvc, "init", "-q")
    run(*dvc, "commit", "-q", "-f")
    run(*git, "add", ".")
    run(*git, "commit", "-q", "-m", "first")
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    (out / "metrics.json").write_text(json.dumps({**metrics, "accuracy": 0.875}))

    assert "accuracy" in run(*dvc, "metrics", "show")
    difference = json.loads(run(*dvc, "metrics", "diff", "--json"))[str(layout.METRICS)]
    assert difference == {
        "accuracy": {"old": metrics["accuracy"], "new": 0.875, "diff": pytest.approx(0.875 - metrics["accuracy"])}
    }
    run(*dvc, "plots", "show", "-o", "plots")
    page = (tmp_path / "plots" / "index.html").read_text(encoding="utf-8")
    assert '"actual": "left"' in page
    assert '"confidence"' in page


def measured(data: Path, out: Path, **params: object) -> dict:
    """Metrics of a model that is sure of nothing: its mean scores are the same for all classes."""
    model = build_model(MODEL, len(LABELS), seed=3).eval()
    clips = read_manifest(data / "manifest.parquet")
    loader = ClipLoader(data, clips[clips["split"] == "test"], LABELS, model.clip_input, 8)
    with torch.no_grad():
        model.head.classifier.bias -= model(next(loader.epoch(0)).clip_BCTHW).mean(0)
    save_model(out / "model", model, MODEL, LABELS)
    section = EvaluateParams.model_validate({**PARAMS.model_dump(), **params})
    evaluate(BASE, section, data=data, model=out / "model", out=out / "out")
    return json.loads((out / "out" / "metrics.json").read_text(encoding="utf-8"))


def test_more_views_are_measured_beside_one_with_what_they_cost(data: Path, recorder: Recorder, tmp_path: Path):
    found = measured(data, tmp_path, views={"temporal": 2, "spatial": 2})
    views = found["views"]
    assert (views["views"], views["temporal"], views["spatial"]) == (4, 2, 2)
    assert views["multiply_adds"] == 4 * views["multiply_adds_of_one"] > 0
    assert views["gain"]["difference"] == pytest.approx(views["accuracy"] - found["accuracy"], abs=1e-6)
    assert views["accuracy_low"] <= views["accuracy"] <= views["accuracy_high"]
    assert recorder.logged["views.accuracy"] == pytest.approx(views["accuracy"], abs=1e-6)


def test_robust_accuracy_is_at_most_accuracy_and_falls_with_the_bound(data: Path, recorder: Recorder, tmp_path: Path):
    found = [
        measured(data, tmp_path / str(epsilon), adversarial={"epsilon": epsilon, "steps": 3})
        for epsilon in (0.001, 255)
    ]
    assert found[0]["robust"]["accuracy"] == found[0]["accuracy"] > 0.0
    assert found[1]["robust"]["accuracy"] == 0.0
    assert (found[1]["robust"]["epsilon"], found[1]["robust"]["steps"]) == (255.0, 3)
    assert recorder.logged["robust.accuracy"] == found[1]["robust"]["accuracy"]


def test_off_neither_is_measured(metrics: dict):
    assert "views" not in metrics
    assert "robust" not in metrics
