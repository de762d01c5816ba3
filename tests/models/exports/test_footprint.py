import pytest
from safetensors.torch import save_file

from models.build import build_model
from models.exports.footprint import CLIPS, peak_memory_mb
from models.exports.program import noise
from models.saved import save_model
from tests.support.rounds import LABELS, MODEL


def test_the_peak_is_that_of_a_process_that_answers(tmp_path):
    model = build_model(MODEL, 2, seed=0)
    save_model(tmp_path / "model", model, MODEL, LABELS)
    save_file({CLIPS: noise(model.clip_input, 8)}, tmp_path / "clips")
    peak_mb = peak_memory_mb("torch", tmp_path / "model", tmp_path / "clips")
    assert peak_mb is None or 50 < peak_mb < 2000
    with pytest.raises(RuntimeError, match="answers with onnx ends with"):
        peak_memory_mb("onnx", tmp_path / "model", tmp_path / "clips")
