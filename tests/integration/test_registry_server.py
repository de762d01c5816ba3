"""The registry's life with a real MLflow server: what serves is what was registered, for strangers too."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import requests
from mlflow.artifacts import download_artifacts
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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

# An environment with nothing but what requirements.txt asks for, also in the processes that it starts. The editable
# install finds this repository's own packages through a finder and a path, which a stranger has not.
_BARE_ENVIRONMENT = """
import importlib.metadata, json, os, re, sys
allowed = set(json.loads(os.environ["ALLOWED"]))
owners = importlib.metadata.packages_distributions()
own = {name for name, distributions in owners.items() if set(distributions) == {"videoloop"}}
sys.meta_path = [finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")]

class Absent:
    def find_spec(self, name, path=None, target=None):
        of = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(name, [])}
        if of and not of & allowed and name not in own:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""

_STRANGER = """
import json, sys
try:
    import prefect
except ModuleNotFoundError:
    pass
else:
    sys.exit("this environment is not bare")
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
        "PYTHONPATH": str(tmp_path / "empty"),
        "ALLOWED": json.dumps(sorted(_with_dependencies(_stored("requirements.txt").read_text().split()))),
    }
    for folder in ("empty", "model"):
        (tmp_path / folder).mkdir()
    (tmp_path / "empty" / "sitecustomize.py").write_text(_BARE_ENVIRONMENT)
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


def _stored(name: str = "") -> Path:
    """A copy of the first version's artifacts."""
    version = registry().get_model_version("actions", "1")
    stored = registry().get_logged_model(version.source.removeprefix("models:/")).artifact_location
    return Path(download_artifacts(artifact_uri=f"{stored}/{name}", tracking_uri=registry().tracking_uri))


def _with_dependencies(requirements: list[str]) -> set[str]:
    """What pip would install for ``requirements``."""
    wanted = [Requirement(line) for line in requirements]
    needed: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in needed or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        needed.add(name)
        wanted += [Requirement(line) for line in metadata.requires(requirement.name) or []]
    return needed


def test_the_model_carries_all_that_was_promised(place):
    folder = _stored()
    assert {path.name for path in (folder / "artifacts" / "model").iterdir()} == {
        "weights.safetensors", "model.json", "clips.txt", "preprocessing.json",
        "example.mp4", "example.json",
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
