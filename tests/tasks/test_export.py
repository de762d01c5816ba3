import json

import pandas as pd
import pytest
import torch

from models.build import build_model
from models.clips.label_sets import NOTHING
from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.exports.files import FILES
from models.exports.program import Answering
from models.saved import load_model
from tasks import layout
from tasks.exports.clips import ExportClips
from tasks.exports.compare import compared
from tasks.exports.outcome import fastest_first, headline, read_outcomes, summary
from tasks.params.quality import ExportParams
from tests.support.exported import EASY, export_round
from tests.support.registries import own_home
from tests.support.rounds import LABELS, MODEL, write_round


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A round whose model was exported in all formats."""
    folder = tmp_path_factory.mktemp("export")
    root = write_round(folder / "round")
    with own_home(folder / "home"):
        export_round(root)
    return root


def clips_of(root, **changed):
    model, _ = load_model(root / layout.MODEL)
    how = {"num_train": 5, "num_compared": 6, "seed": 0, **changed}
    return ExportClips(root / layout.MANIFEST, root / layout.DATA, LABELS, model.clip_input, **how)


def test_all_formats_are_measured_and_what_is_accepted_is_kept(root):
    content = json.loads((root / layout.FORMATS).read_text())
    assert (content["threads"], content["clips"], content["sources"]) == (1, 6, 1)
    outcomes = read_outcomes(root / layout.FORMATS)
    assert list(outcomes) == ["torch", "pt2", "onnx", "int8"]
    for name, outcome in outcomes.items():
        assert outcome.accepted, f"{name}: {outcome.reason}"
        assert set(outcome.latency_ms) == {"1", "8"}
        assert min(outcome.latency_ms.values()) > 0
        assert outcome.size_mb > 0
        assert 0 <= outcome.accuracy <= 1
    assert outcomes["torch"].max_difference == 0
    assert outcomes["onnx"].max_difference < 1e-4
    assert {path.name for path in (root / layout.PROGRAMS).iterdir()} == set(FILES.values())


def test_formats_are_ordered_by_latency_and_have_numbers_and_a_line_each(root):
    outcomes = read_outcomes(root / layout.FORMATS)
    latencies_ms = [outcomes[name].latency_ms["1"] for name in fastest_first(outcomes)]
    assert latencies_ms == sorted(latencies_ms)
    values = headline(outcomes)
    assert values["export.onnx.accepted"] == 1.0
    assert values["export.onnx.latency_ms_1"] == outcomes["onnx"].latency_ms["1"]
    assert all(isinstance(value, float) for value in values.values())
    assert summary(outcomes["onnx"]).startswith("accepted: ")


def test_what_differs_is_refused_with_its_reason(root, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.exports.compare.peak_memory_mb", lambda *_: 100.0)
    for file in FILES.values():
        (tmp_path / file).write_bytes(b"program")
    answering = Answering(build_model(MODEL, 2, seed=0)).eval()

    def off(clip_BCTHW):
        logits_BK, embedding_BD = answering(clip_BCTHW)
        return logits_BK + torch.tensor([0.1, 0.0]), embedding_BD

    def moved(clip_BCTHW):
        logits_BK, embedding_BD = answering(clip_BCTHW)
        return logits_BK, embedding_BD + 1.0

    def broken(clip_BCTHW):
        raise RuntimeError("no kernel\nat line 3")

    def outcome(name, program, **params):
        found = compared(
            {"torch": answering, name: program}, ExportParams(**params), clips_of(root), root / layout.MODEL, tmp_path
        )
        assert found["torch"].accepted
        assert not found[name].accepted
        return found[name].reason

    assert "more than export.tolerance (0.001)" in outcome("onnx", off)
    assert "the watch would take that for drift" in outcome("int8", moved)
    assert outcome("pt2", broken) == "it does not answer: RuntimeError: no kernel"
    assert "not finite" in outcome("pt2", lambda clip: (answering(clip)[0] * torch.nan, answering(clip)[1]))
    wrong = lambda clip: (-100 * (answering(clip)[0] - answering(clip)[0].mean(1, keepdim=True)), answering(clip)[1])  # noqa: E731
    assert clips_of(root).compared["label"].nunique() == 2
    found = compared({"torch": answering, "int8": wrong}, EASY, clips_of(root), root / layout.MODEL, tmp_path)
    assert found["int8"].accuracy == pytest.approx(1 - found["torch"].accuracy)


def test_where_no_clip_has_a_label_int8_is_refused(root, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.exports.compare.peak_memory_mb", lambda *_: 100.0)
    for file in FILES.values():
        (tmp_path / file).write_bytes(b"program")
    manifest = read_manifest(root / layout.MANIFEST)
    nothing = manifest.assign(label=NOTHING, labels=[[] for _ in range(len(manifest))])
    write_manifest(nothing, tmp_path / "manifest.parquet")
    model, _ = load_model(root / layout.MODEL)
    clips = ExportClips(
        tmp_path / "manifest.parquet", root / layout.DATA, LABELS, model.clip_input, num_train=5, num_compared=6, seed=0
    )
    answering = Answering(build_model(MODEL, 2, seed=0)).eval()
    found = compared({"torch": answering, "int8": answering}, EASY, clips, root / layout.MODEL, tmp_path)
    assert "no clip to compare on has any label" in found["int8"].reason
    assert (found["torch"].accepted, found["torch"].accuracy) == (True, None)


def test_clips_are_spread_over_sources_and_start_again_where_there_are_few(root):
    clips = clips_of(root, num_train=3)
    assert len(clips._train["source_id"].unique()) == 3
    assert clips.some(20).shape[0] == 20
    assert sum(len(batch) for batch in clips.calibration()) == 3


def test_without_a_labelled_clip_to_compare_on_the_remedy_is_named(root, tmp_path):
    manifest = read_manifest(root / layout.MANIFEST)
    (tmp_path / "manifest.parquet").unlink(missing_ok=True)
    write_manifest(pd.DataFrame(manifest[manifest["split"] != "val"]), tmp_path / "manifest.parquet")
    model, _ = load_model(root / layout.MODEL)
    with pytest.raises(UserError, match="no labelled clip is in val; ingest more sources"):
        ExportClips(tmp_path / "manifest.parquet", root, LABELS, model.clip_input, num_train=5, num_compared=5, seed=0)


def test_something_else_is_no_result_of_the_export(tmp_path):
    (tmp_path / "formats.json").write_text('{"formats": {"onnx": {"speed": 3}}}')
    with pytest.raises(UserError, match="run `dvc repro export`"):
        read_outcomes(tmp_path / "formats.json")
