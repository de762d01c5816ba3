import pytest
import torch

from models.backbones.family import load_family
from models.backbones.i3d_inception.model import _same_padded
from models.backbones.published import Published

# Of the PyTorch port's rgb_imagenet.pt: names, and output channels by input channels and kernel.
UNITS = {
    "Conv3d_1a_7x7": (64, 3, 7), "Conv3d_2b_1x1": (64, 64, 1), "Conv3d_2c_3x3": (192, 64, 3),
}  # fmt: skip
MIXED = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}


def published() -> dict[str, torch.Tensor]:
    """As saved by PyTorch 0.3, which counted no batches."""
    units = dict(UNITS)
    for name, (inputs, b0, b1a, b1b, b2a, b2b, b3b) in MIXED.items():
        units |= {
            f"{name}.b0": (b0, inputs, 1),
            f"{name}.b1a": (b1a, inputs, 1),
            f"{name}.b1b": (b1b, b1a, 3),
            f"{name}.b2a": (b2a, inputs, 1),
            f"{name}.b2b": (b2b, b2a, 3),
            f"{name}.b3b": (b3b, inputs, 1),
        }
    state = {"logits.conv3d.weight": torch.zeros(400, 1024, 1, 1, 1), "logits.conv3d.bias": torch.zeros(400)}
    for name, (outputs, inputs, kernel) in units.items():
        state[f"{name}.conv3d.weight"] = torch.zeros(outputs, inputs, kernel, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.bn.{part}"] = torch.ones(outputs)
    return state


@pytest.mark.parametrize("flavour", ["64x224", "16x112"])
def test_every_published_tensor_has_its_place(flavour: str) -> None:
    family = load_family("i3d_inception")
    with torch.device("meta"):
        backbone = family.build(family.flavours[flavour])
        state = published()
    weights = family.weights["kinetics400"][flavour]
    assert isinstance(weights, Published)
    shapes = {name: tensor.shape for name, tensor in backbone.state_dict().items()}
    mapped = weights.convert(state, shapes)
    counters = {name: torch.Size() for name in shapes if name.endswith("num_batches_tracked")}
    assert {name: tensor.shape for name, tensor in mapped.items()} | counters == shapes
    backbone.load_state_dict(mapped, assign=True)  # without counters, as they are in the file


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "before", "behind"),
    [(224, 7, 2, 2, 3), (112, 3, 2, 0, 1), (7, 3, 1, 1, 1), (7, 2, 2, 0, 1), (8, 2, 2, 0, 0), (15, 3, 2, 1, 1)],
)
def test_padding_is_tensorflows(side: int, kernel: int, stride: int, before: int, behind: int) -> None:
    padded = _same_padded(torch.ones(1, 1, 1, 1, side), (1, 1, kernel), (1, 1, stride))
    assert padded.flatten().tolist() == [0.0] * before + [1.0] * side + [0.0] * behind
