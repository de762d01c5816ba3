"""A model on a GPU as a program: it answers as the model does, on the CPU and moved to the GPU."""

from pathlib import Path

import pytest
import torch
from torch.export.passes import move_to_device_pass

from models.exports.files import FILES
from models.exports.formats import write_programs
from models.exports.program import Answering, noise
from models.spec import FineTuneParams
from tests.support.gpu import DEVICE, NEEDS_GPU, debug_model, fixed_batch, step_of

pytestmark = [*NEEDS_GPU, pytest.mark.usefixtures("exact")]


@pytest.mark.parametrize("family", ["efficientnet_lite0", "x3d", "slowfast", "vit"])
def test_pt2_says_what_the_model_on_the_gpu_says(family: str, tmp_path: Path) -> None:
    model = debug_model(family).eval()
    step_of(model, FineTuneParams(precision="bf16"))(*fixed_batch(model))  # which leaves weights channels last
    made, failed = write_programs(model, ["pt2"], list, tmp_path)
    assert failed == {}
    assert all(weights.is_cuda for weights in model.parameters())
    clip_BCTHW = noise(model.clip_input, 3)
    with torch.inference_mode():
        expected = [each.cpu() for each in Answering(model)(clip_BCTHW.to(DEVICE))]
        for said, wanted in zip(made["pt2"](clip_BCTHW), expected, strict=True):
            torch.testing.assert_close(said, wanted, rtol=1e-3, atol=1e-4)
        with (tmp_path / FILES["pt2"]).open("rb") as file:
            moved = move_to_device_pass(torch.export.load(file), str(DEVICE)).module()
        for said, wanted in zip(moved(clip_BCTHW.to(DEVICE)), expected, strict=True):
            assert said.is_cuda
            torch.testing.assert_close(said.cpu(), wanted, rtol=1e-3, atol=1e-4)
