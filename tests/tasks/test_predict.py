import shutil

import pytest

from models.errors import UserError
from tasks.predict import predict
from tasks.promote import promote
from tasks.register import register
from tasks.settings import settings
from tests.support.films import write_film
from tests.support.registries import own_home
from tests.support.rounds import LABELS, params_of, write_round


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home in which ``actions`` has a champion, version 1, and a version 2."""
    folder = tmp_path_factory.mktemp("predict")
    with own_home(folder / "home") as home:
        for seed in (0, 1):
            root = write_round(folder / str(seed), seed=seed)
            register(root, params_of(), commit="c" * 40, dataset_version="d" * 32)
        promote("actions", 1, who="test", why="")
    return home


@pytest.fixture
def champion(place):
    with own_home(place):
        yield place


def test_files_get_labels_or_reasons(champion, tmp_path):
    good = write_film(tmp_path / "good.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    first, second = predict([good, text], "actions")
    assert first.path == good
    assert first.error is None
    assert list(first.probabilities) == sorted(LABELS, key=lambda label: -first.probabilities[label])
    assert first.probability == first.probabilities[first.label] == max(first.probabilities.values())
    assert (second.path, second.label, second.probability, second.probabilities) == (text, None, None, {})
    assert "cannot be read" in second.error


def test_another_version_can_be_asked(champion, tmp_path):
    film = write_film(tmp_path / "film.mp4")
    (by_champion,), (by_second,) = predict([film], "actions"), predict([film], "actions", version=2)
    assert by_champion.probabilities != by_second.probabilities


def test_the_model_is_downloaded_once_and_mended_when_the_copy_is_damaged(champion, tmp_path, monkeypatch):
    film = write_film(tmp_path / "film.mp4")
    expected = predict([film], "actions")
    weights = sorted((champion / "models").rglob("weights.safetensors"))
    weights[0].write_bytes(b"damaged")
    for copy in weights[1:]:
        copy.write_bytes(b"damaged")
    assert predict([film], "actions") == expected
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", None)  # a second download would fail
    assert predict([film], "actions") == expected


def test_weights_that_somebody_exchanged_in_the_registry_are_not_loaded(champion, tmp_path):
    shutil.rmtree(champion / "models", ignore_errors=True)
    stored = sorted((champion / "mlartifacts").rglob("weights.safetensors"))
    before = [path.read_bytes() for path in stored]
    try:
        for path, other in zip(stored, reversed(before), strict=True):
            path.write_bytes(other)
        with pytest.raises(UserError, match=r"weights.safetensors is not the file that was registered"):
            predict([write_film(tmp_path / "film.mp4")], "actions")
    finally:
        for path, content in zip(stored, before, strict=True):
            path.write_bytes(content)


def test_without_a_champion_the_remedy_is_named(champion, tmp_path):
    root = write_round(tmp_path / "root")
    register(root, params_of("headless"), commit="c" * 40, dataset_version="d" * 32)
    with pytest.raises(UserError, match="videoloop promote headless"):
        predict([], "headless")
    with pytest.raises(UserError, match="there is no such model in MLflow; models: actions, headless"):
        predict([], "absent")
    assert settings().mlflow_uri.startswith("sqlite")
