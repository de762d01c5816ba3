import onnx
import pytest
import torch

from models.build import build_model
from models.exports.formats import write_programs
from models.exports.onnx import write_onnx
from models.exports.program import noise, traced
from tests.support.rounds import MODEL


@pytest.fixture(scope="module")
def graph():
    return traced(build_model(MODEL, 2, seed=0))


def test_the_same_graph_gives_the_same_bytes_and_no_path_of_this_machine(graph, tmp_path):
    for name in ("one", "two"):
        write_onnx(graph, tmp_path / name)
    content = (tmp_path / "one").read_bytes()
    assert content == (tmp_path / "two").read_bytes()
    assert b".py" not in content
    assert b"/models/" not in content


def test_the_file_holds_its_weights_and_takes_any_batch(graph, tmp_path):
    write_onnx(graph, tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert not [tensor for tensor in proto.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param


def test_what_cannot_be_exported_is_told_with_its_reason_and_the_others_are_made(tmp_path):
    model = build_model(MODEL, 2, seed=0)
    made, failed = write_programs(model, ["onnx", "int8"], lambda: iter([torch.zeros(1, 2, 3)]), tmp_path)
    assert list(made) == ["onnx"]
    assert failed["int8"].startswith("it cannot be exported: ")
    assert "\n" not in failed["int8"]
    with torch.inference_mode():
        assert made["onnx"](noise(model.clip_input, 3))[0].shape == (3, 2)
