import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.errors import UserError
from tasks.register import register
from tasks.registry.classifier import VideoClassifier
from tasks.registry.client import registry
from tasks.registry.names import EXAMPLE, EXAMPLE_ANSWER
from tasks.registry.trust import verified_model
from tasks.serve.model import load_version, self_check, warm
from tasks.settings import ServeSettings
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round
from tests.support.serving import classifier


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home in which ``actions`` has version 1."""
    folder = tmp_path_factory.mktemp("model")
    with own_home(folder / "home") as home:
        register(write_round(folder / "round"), params_of(), commit="c" * 40, dataset_version="d" * 32)
    return home


@pytest.fixture
def version(place):
    with own_home(place):
        yield registry().get_model_version("actions", "1")


@pytest.fixture
def example(version, tmp_path):
    """The checked folder, as a copy that a test may change."""
    return shutil.copytree(verified_model(registry(), version, to_answer=True), tmp_path / "model")


def test_a_version_is_made_ready(version):
    passes = []
    with ThreadPoolExecutor(1) as executor:
        ready = load_version(registry(), version, ServeSettings(max_duration_s=7), executor, passes.append)
    assert (ready.name, ready.version, ready.recipe.max_duration_s) == ("actions", 1, 7)
    assert ready.identity.startswith("1:")
    assert ready.classifier.labels == ["left", "right"]


def test_the_example_has_the_answer_of_its_registration(example):
    model = VideoClassifier.load(example)
    self_check(model, example)
    answer = json.loads((example / EXAMPLE_ANSWER).read_text())
    for content, said in (
        ({"probabilities": {"left": 1.0, "right": 0.0}, "error": None}, "differs by 0"),
        ({"probabilities": dict(reversed(answer["probabilities"].items())), "error": None}, "its labels"),
        ({"probabilities": {}, "error": "cannot be read"}, "it says 'nothing'"),
    ):
        (example / EXAMPLE_ANSWER).write_text(json.dumps(content))
        with pytest.raises(UserError, match=said):
            self_check(model, example)
    (example / EXAMPLE).unlink()
    self_check(model, example)  # as of a model that was registered before models carried an example


def test_a_model_that_answers_with_no_numbers_is_refused():
    model = classifier()
    warm(model, 4)
    torch.nn.init.constant_(next(model._program.model.head.parameters()), torch.nan)
    with pytest.raises(UserError, match="not finite"):
        warm(model, 4)
