"""The registry's life with a real MLflow server: what serves is what was registered, for strangers too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tasks import layout
from tasks.predict import predict
from tasks.promote import introduce, promote, rollback
from tasks.register import register
from tasks.registry.client import registry, version_with_alias
from tests.support.films import write_film
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round
from tests.support.servers import mlflow_server

pytestmark = pytest.mark.integration

_STRANGER = """
import json, sys
for absent in ("prefect", "dvc", "optuna", "great_expectations", "sklearn", "scipy", "matplotlib", "boto3", "flows"):
    sys.modules[absent] = None
import pandas as pd
import mlflow
model = mlflow.pyfunc.load_model("models:/actions@champion", dst_path=sys.argv[1])
film = sys.argv[2]
by_path = model.predict(pd.DataFrame({"path": [film]}))
by_bytes = model.predict(pd.DataFrame({"video": [open(film, "rb").read()]}))
example = model.predict(model.input_example)
import models.build, tasks.video.pool
print(json.dumps({
    "path": by_path.to_dict("records"), "bytes": by_bytes.to_dict("records"), "example": example.to_dict("records"),
    "code": [models.build.__file__, tasks.video.pool.__file__],
}))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="module")
def place(server, tmp_path_factory):
    """Two versions on the server, the first of which is champion."""
    folder = tmp_path_factory.mktemp("place")
    with own_home(folder / "home", server):
        for seed in (0, 1):
            root = write_round(folder / str(seed), seed=seed)
            version = register(root, params_of(), commit="c" * 40, dataset_version="d" * 32)
            introduce("actions", version, params_of().promote)
    return folder


@pytest.fixture(autouse=True)
def _home(place, server):
    with own_home(place / "home", server):
        yield


def test_a_stranger_loads_the_champion_without_pickle_and_without_this_repository(place, server, tmp_path):
    film = write_film(tmp_path / "film.mp4")
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": server,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "VIDEOLOOP_HOME": str(tmp_path / "nowhere"),
        "OMP_NUM_THREADS": "1",
    }
    for folder in ("empty", "model"):
        (tmp_path / folder).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _STRANGER, str(tmp_path / "model"), str(film)],
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    (own,) = predict([film], "actions")
    assert answer["path"][0]["label"] == own.label
    for way in ("path", "bytes"):
        assert answer[way][0]["probabilities"] == pytest.approx(own.probabilities, abs=1e-5)
    assert answer["example"][0]["label"] in own.probabilities
    assert all(Path(file).is_relative_to(tmp_path / "model") for file in answer["code"])


def test_the_model_carries_all_that_was_promised(place):
    version = registry().get_model_version("actions", "1")
    model = version.source.removeprefix("models:/")
    stored = registry().get_logged_model(model).artifact_location
    from mlflow.artifacts import download_artifacts

    folder = Path(download_artifacts(artifact_uri=stored, tracking_uri=registry().tracking_uri))
    assert {path.name for path in (folder / "artifacts" / "model").iterdir()} == {
        "weights.safetensors", "model.json", "model.pt2", "preprocessing.json"
    }  # fmt: skip
    assert (folder / "artifacts/model/weights.safetensors").read_bytes() == (place / "0" / layout.WEIGHTS).read_bytes()
    requirements = (folder / "requirements.txt").read_text().split()
    assert any(line.startswith("torch==") for line in requirements)
    assert not [line for line in requirements if "==" not in line or "+" in line]
    assert (folder / "input_example.json").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pyc")]


def test_people_promote_in_the_ui_and_take_it_back(place, server):
    assert version_with_alias(registry(), "actions", "champion") == 1
    assert version_with_alias(registry(), "actions", "challenger") == 2
    moved = {"name": "actions", "alias": "champion", "version": "2"}
    requests.post(f"{server}/api/2.0/mlflow/registered-models/alias", json=moved, timeout=30).raise_for_status()
    assert rollback("actions", who="ada", why="worse at night").version == 1
    assert promote("actions", who="ada", why="it was the light").version == 2


def test_the_report_can_be_opened_where_the_version_says(place, server):
    version = registry().get_model_version("actions", "1")
    address = f"{server}/get-artifact?path=report.html&run_uuid={version.run_id}"
    assert "report" in requests.get(address, timeout=30).text
