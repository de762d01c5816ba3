"""A model as an exported program (pt2): what serves without this code.

The batch is dynamic; frames and size are the flavour's.
"""

import copy
from pathlib import Path

import torch
from torch import Tensor

from models.build import VideoModel
from models.files import replacing

_TOLERANCE = 1e-4


def export_program(model: VideoModel, path: Path) -> None:
    """Write ``model`` in eval mode, on the CPU, and check that what was written says the same for other batch sizes.

    Raises:
        ArithmeticError: The program's logits differ from the model's.
    """
    # A copy with plain strides: the format of programs keeps no others.
    copied = copy.deepcopy(model).cpu().eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(copied, (_noise(copied, num_clips=2),), dynamic_shapes=({0: batch},))
    with replacing(path) as temporary:
        with temporary.open("wb") as file:
            torch.export.save(program, file)
        _check_parity(copied, temporary)


def load_program(path: Path) -> torch.nn.Module:
    """Read an exported program as a module that takes ``clip_BCTHW`` and gives ``logits_BK``."""
    with path.open("rb") as file:
        return torch.export.load(file).module()


def _check_parity(model: VideoModel, path: Path) -> None:
    exported = load_program(path)
    with torch.inference_mode():
        for num_clips in (1, 3):
            clip_BCTHW = _noise(model, num_clips)
            expected_BK, found_BK = model(clip_BCTHW), exported(clip_BCTHW)
            if not torch.allclose(expected_BK, found_BK, rtol=_TOLERANCE, atol=_TOLERANCE):
                difference = (expected_BK - found_BK).abs().max().item()
                raise ArithmeticError(f"the exported program's logits are off by {difference:.2g}")


def _noise(model: VideoModel, num_clips: int) -> Tensor:
    clip_input = model.clip_input
    generator = torch.Generator().manual_seed(num_clips)
    shape = (num_clips, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.randn(shape, generator=generator)
