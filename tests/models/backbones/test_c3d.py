import torch

from models.backbones.family import load_family
from models.backbones.published import Published

# MMAction2's C3D: outputs and inputs of its convolutions of 3x3x3.
CONVOLUTIONS = {
    "conv1a": (64, 3), "conv2a": (128, 64), "conv3a": (256, 128), "conv3b": (256, 256),
    "conv4a": (512, 256), "conv4b": (512, 512), "conv5a": (512, 512), "conv5b": (512, 512),
}  # fmt: skip
LINEAR = {"fc6": (4096, 8192), "fc7": (4096, 4096), "fc8": (487, 4096)}


def test_every_published_tensor_has_its_place() -> None:
    family = load_family("c3d")
    with torch.device("meta"):
        backbone = family.build(family.flavours["16x112-sports1m"])
        published = {f"{name}.conv.weight": torch.empty(*size, 3, 3, 3) for name, size in CONVOLUTIONS.items()}
        published |= {f"{name}.conv.bias": torch.empty(outputs) for name, (outputs, _) in CONVOLUTIONS.items()}
        published |= {f"{name}.weight": torch.empty(size) for name, size in LINEAR.items()}
        published |= {f"{name}.bias": torch.empty(outputs) for name, (outputs, _) in LINEAR.items()}
    weights = family.weights["sports1m"]["16x112-sports1m"]
    assert isinstance(weights, Published)
    state = weights.convert(published, {})
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in backbone.state_dict().items()
    }
