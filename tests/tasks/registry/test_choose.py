import json
import logging
import shutil

import pytest

from models.errors import UserError
from models.exports.files import FILES
from tasks.register import register
from tasks.registry.choose import answer_to_example, choose
from tasks.registry.client import registry
from tasks.registry.names import EXAMPLE_ANSWER, FORMATS
from tasks.registry.trust import verified_model
from tests.support.exported import export_round
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """A version with all formats, and its checked folder."""
    folder = tmp_path_factory.mktemp("choose")
    with own_home(folder / "home"):
        root = write_round(folder / "round")
        export_round(root)
        register(root, params_of(), commit="c" * 40, dataset_version="d" * 32)
        version = registry().get_model_version("actions", "1")
        run = registry().get_run(version.run_id)
        yield version, run, verified_model(registry(), version, to_answer=True)


@pytest.fixture
def folder(registered, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(registered[2], tmp_path / "model")


def _order(folder, first):
    """Pretend that ``first`` was the fastest where it was exported."""
    content = json.loads((folder / FORMATS).read_text())
    for name, outcome in content["formats"].items():
        outcome["latency_ms"]["1"] = 0.001 if name == first else 1.0
    (folder / FORMATS).write_text(json.dumps(content))


def test_the_version_carries_programs_and_tells_of_them(registered):
    version, run, folder = registered
    assert {path.name for path in folder.iterdir()} >= set(FILES.values())
    assert version.tags["videoloop.export.onnx"].startswith("accepted: ")
    assert run.data.metrics["export.onnx.accepted"] == 1.0
    assert run.data.metrics["export.int8.size_mb"] > 0


@pytest.mark.parametrize("name", ["torch", "pt2", "onnx", "int8"])
def test_every_format_gives_the_answer_of_its_registration(folder, name):
    classifier = choose(folder, wanted=name)
    registered = json.loads((folder / EXAMPLE_ANSWER).read_text())
    expected = registered["by_format"].get(name, registered["probabilities"])
    assert classifier.format == name
    assert answer_to_example(classifier, folder).probabilities == pytest.approx(expected, abs=1e-4)


def test_the_fastest_where_it_was_exported_is_taken_or_the_fastest_here(folder):
    _order(folder, "onnx")
    assert choose(folder).format == "onnx"
    _order(folder, "torch")
    assert choose(folder).format == "torch"
    assert choose(folder, measure=True).format in ("torch", *FILES)


def test_a_program_that_does_not_hold_is_passed_over_with_a_warning(folder, caplog):
    _order(folder, "onnx")
    registered = json.loads((folder / EXAMPLE_ANSWER).read_text())
    first, second = registered["by_format"]["onnx"]
    registered["by_format"]["onnx"] = {first: 1.0, second: 0.0}
    (folder / EXAMPLE_ANSWER).write_text(json.dumps(registered))
    with caplog.at_level(logging.WARNING):
        assert choose(folder).format != "onnx"
    assert "the onnx program does not answer here" in caplog.text
    assert "differs by 0." in caplog.text
    with pytest.raises(UserError, match="its onnx program failed"):
        choose(folder, wanted="onnx")
    for file in FILES.values():
        (folder / file).write_bytes(b"damaged")
    assert choose(folder).format == choose(folder, measure=True).format == "torch"


def test_what_is_not_there_cannot_be_wanted(folder):
    with pytest.raises(UserError, match="VIDEOLOOP_SERVE_FORMAT: 'onnx' cannot answer on cuda; these can: torch"):
        choose(folder, "cuda", "onnx")
    (folder / FORMATS).unlink()
    assert choose(folder).format == "torch"  # as of a version that was registered before there were programs
    with pytest.raises(UserError, match="'int8' cannot answer on cpu; these can: torch"):
        choose(folder, wanted="int8")
