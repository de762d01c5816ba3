import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from models.errors import UserError
from tasks import layout
from tasks.params.quality import EvaluateParams, ReportParams
from tasks.params.whole import BaseParams
from tasks.report import __main__ as stage
from tasks.report.page import report
from tests.support.results import HOSTILE, LABELS, write_results

EVALUATE = EvaluateParams(bootstrap=100)


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def written(root: Path, *, worst: int = 24, explained: int = 0, shown: dict | None = None) -> str:
    out = root / layout.REPORT
    params = ReportParams(worst=worst, explained=explained)
    report(BaseParams(name="test"), params, EVALUATE, shown or {}, workspace=root, out=out)
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("round"))


@pytest.fixture(scope="module")
def page(workspace: Path) -> Page:
    return Page(written(workspace, shown={"model": {"family": "x3d", "head": {"dropout": 0.25, "sizes": [1, 2]}}}))


def test_the_page_says_what_a_reader_wants_to_know(workspace: Path, page: Page):
    metrics = json.loads((workspace / layout.METRICS).read_text())
    assert f"{100 * metrics['accuracy']:.1f}% of 36 test clips are recognised" in page.text
    assert "before fine-tuning it was 20.0%" in page.text
    assert "With only 2 sources the intervals are rough" in page.text
    assert "none of which was seen in training" in page.text
    assert "All 1 expectations on the dataset are met" in page.text
    assert "head.dropout 0.25" in page.text
    assert "head.sizes [1, 2]" in page.text
    assert json.loads((workspace / layout.MODEL_CARD).read_text())["weights_sha256"] in page.text


def test_each_class_has_an_example_and_each_mistake_a_picture(workspace: Path, page: Page):
    predictions = pd.read_parquet(workspace / layout.PREDICTIONS)
    wrong = predictions[(predictions["split"] == "test") & ~predictions["correct"]]
    pictures = page.all("img")
    assert len(pictures) == len(LABELS) + len(wrong) > len(LABELS)
    assert all(picture["alt"] and picture["src"].startswith("data:image/jpeg;base64,") for picture in pictures)
    for clip in wrong.itertuples():
        assert f"Frames of a clip of {clip.label} from {clip.source_id}, taken for {clip.predicted}" in [
            picture["alt"] for picture in pictures
        ]


def test_the_worst_mistake_comes_first_and_only_so_many_are_shown(workspace: Path):
    predictions = pd.read_parquet(workspace / layout.PREDICTIONS)
    wrong = predictions[(predictions["split"] == "test") & ~predictions["correct"]]
    of_truth = [row[LABELS.index(label)] for row, label in zip(wrong["probabilities"], wrong["label"], strict=True)]
    worst = wrong.assign(of_truth=of_truth).sort_values("of_truth").iloc[:2]
    page = Page(written(workspace, worst=2))
    shown = [picture["alt"] for picture in page.all("img")][len(LABELS) :]
    assert shown == [
        f"Frames of a clip of {clip.label} from {clip.source_id}, taken for {clip.predicted}"
        for clip in worst.itertuples()
    ]
    assert "These are the 2 worst" in page.text


def test_the_matrix_counts_every_test_clip(page: Page):
    cells = [attributes for attributes in page.all("td") if attributes.get("class") in ("hit", "miss")]
    assert len(cells) >= len(LABELS)
    assert all(attributes["style"].startswith("--share:") for attributes in cells)


def test_the_worst_slice_is_named(tmp_path: Path, page: Page):
    assert "No source, hour, light or size is worse than the whole beyond chance" in page.text
    assert "before class scores were divided by 1.8, as fitted on val, it was 20.0%" in page.text
    root = write_results(tmp_path, accuracy=1.0, clips_per_class=5)
    predictions = pd.read_parquet(root / layout.PREDICTIONS)
    bad = predictions["source_id"].str.startswith("cam 4")
    predictions.assign(correct=~bad).to_parquet(root / layout.PREDICTIONS)
    assert "Worse than the whole, beyond chance: source cam 4 bow (0.0% of 30 clips)" in Page(written(root)).text


def test_the_same_results_give_the_same_bytes_and_no_time_of_day(workspace: Path):
    first = written(workspace, worst=1, explained=2)
    assert written(workspace, worst=1, explained=2) == first
    assert not re.search(r"20\d\d-\d\d-\d\d", first)
    assert str(workspace) not in first


def test_the_page_needs_nothing_else(page: Page):
    assert not page.all("script")
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:")), (tag, address)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def test_every_table_has_headers_and_every_plot_a_name(page: Page):
    tables, headers = len(page.all("table")), [header.get("scope") for header in page.all("th")]
    assert tables > 5
    assert None not in headers
    assert all(plot.get("aria-label") for plot in page.all("svg"))


def test_hostile_names_are_inert(tmp_path: Path):
    text = written(write_results(tmp_path, HOSTILE), explained=4, shown={"base": {"name": HOSTILE[1]}})
    page = Page(text)
    assert not page.all("script")
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(picture["src"].startswith("data:") for picture in page.all("img"))
    for label in HOSTILE:
        assert label.replace("\u202e", "\\u202e") in page.text
    assert "49" not in [word.strip() for word in page.words]
    assert "\u202e" not in text, "it would turn its surroundings round"


def test_many_classes_and_mistakes_still_make_a_small_page(tmp_path: Path):
    labels = [f"class {number:02d}" for number in range(64)]
    root = write_results(tmp_path, labels, accuracy=0.0, clips_per_class=2)
    text = written(root, worst=500)
    assert len(text) < 5_000_000
    page = Page(text)
    assert "60 of 64 classes are shown" in page.text
    assert "Confusion matrix" not in page.text
    assert len(page.all("img")) > 250


def test_a_model_without_mistakes_and_a_dataset_without_refusals(tmp_path: Path):
    root = write_results(tmp_path, accuracy=1.0)
    (root / layout.QUARANTINE).unlink()
    page = Page(written(root))
    assert "No test clip is mistaken" in page.text
    assert "No class was taken for another" in page.text
    assert "No file was refused" in page.text


def test_a_source_in_both_splits_is_not_called_unseen(tmp_path: Path):
    root = write_results(tmp_path)
    manifest = pd.read_parquet(root / layout.MANIFEST)
    manifest.assign(source_id="one").to_parquet(root / layout.MANIFEST)
    assert "none of which was seen in training" not in Page(written(root)).text


@pytest.mark.parametrize(
    "result", [layout.METRICS, layout.TRIALS, layout.PREDICTIONS, layout.MODEL_CARD, layout.CURVES]
)
def test_a_missing_or_damaged_result_is_named_and_leaves_no_page(tmp_path: Path, result: Path):
    root = write_results(tmp_path, clips_per_class=1)
    (root / result).write_bytes(b"")
    with pytest.raises(UserError, match=result.name):
        written(root)
    (root / result).unlink()
    with pytest.raises(UserError, match=result.name if result != layout.MODEL_CARD else "no model here"):
        written(root)
    assert not (root / layout.REPORT).exists()


def test_the_stage_writes_the_page_and_hands_it_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = write_results(tmp_path)
    logged: list[bytes] = []

    @contextmanager
    def tracked(stage: str, experiment: str) -> Iterator[SimpleNamespace]:
        assert (stage, experiment) == ("report", "demo-actions")
        yield SimpleNamespace(artifact=lambda path: logged.append(path.read_bytes()))

    shutil.copy(Path(__file__).parents[3] / "params.yaml", root)
    monkeypatch.chdir(root)
    monkeypatch.setattr(stage, "tracked", tracked)
    stage.main()
    assert logged == [layout.REPORT.read_bytes()]
    text = Page(logged[0].decode()).text
    listed = yaml.safe_load((Path(__file__).parents[3] / "dvc.yaml").read_text())["stages"]["report"]["params"]
    written = yaml.safe_load(Path("params.yaml").read_text())
    for section in set(listed) - {"report"}:
        assert all(key in text for key in written[section]), section


def test_more_views_and_attacked_clips_stand_beside_the_headline(tmp_path: Path):
    root = write_results(tmp_path)
    metrics = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))
    share = {"accuracy": 0.625, "accuracy_low": 0.5, "accuracy_high": 0.75}
    metrics["views"] = {**share, "views": 6, "multiply_adds": 12_300_000_000}
    metrics["robust"] = {**share, "epsilon": 4.0, "steps": 10}
    (root / layout.METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    text = Page(written(root)).text
    assert "6 views a clip, 6 times the cost (12.3 G)" in text
    assert "On clips changed by up to 4 of 255" in text
