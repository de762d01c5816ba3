import json
from pathlib import Path

import pytest

from models.build import build_model
from models.saved import save_model
from models.spec import ModelParams
from tasks.evaluate import evaluate
from tasks.params import BaseParams, EvaluateParams
from tests.support.dataset import write_dataset

BASE = BaseParams(name="test")
PARAMS = EvaluateParams(bootstrap=100, bins=5, batch_size=8)
MODEL = ModelParams(family="efficientnet_lite0", flavour="debug")
LABELS = ["left", "right"]


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory):
    from tasks.settings import settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOLOOP_HOME", str(tmp_path_factory.mktemp("home")))
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    save_model(folder, build_model(MODEL, len(LABELS), seed=3), MODEL, LABELS)
    return folder


@pytest.fixture(scope="module")
def results(data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "evaluate"
    evaluate(BASE, PARAMS, data=data, model=model, out=out)
    return out


def test_metrics_count_what_was_tested(results: Path):
    metrics = json.loads((results / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["clips"], metrics["sources"], metrics["classes"]) == (8, 1, 2)
    assert metrics["interval_is_rough"]
    assert metrics["before"]["majority"]["accuracy"] == 0.5
    assert set(metrics["gain"]) == {"over_majority", "over_initial", "over_pretrained_features"}
    assert metrics["per_class"]["left"]["clips"] == metrics["per_class"]["right"]["clips"] == 4
    assert metrics["per_source"] == {"cam4": {"accuracy": metrics["accuracy"], "clips": 8}}
