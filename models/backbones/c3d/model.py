"""C3D (Tran et al. 2015, arXiv:1412.0767): eight 3x3x3 convolutions, five poolings, two fully connected layers.

Layers carry the published names, so that published weights fit.

Shapes: B clips, C channels, T frames, H height, W width, D features.
"""

from collections import OrderedDict

from torch import Tensor, nn

from models.backbones.c3d.flavours import C3DFlavour
from models.backbones.family import Backbone

_DROPOUT = 0.5
_GROUPS = (("1",), ("2",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))


class C3D(Backbone):
    """One feature vector a clip: ``clip_BCTHW`` to ``features_BTD`` with T = 1 and D = 4096, the output of ``fc7``."""

    num_steps = 1

    def __init__(self, flavour: C3DFlavour) -> None:
        super().__init__()
        self.num_features = flavour.num_features
        self.maps = nn.Sequential(_convolutions(flavour.channels))
        side, steps = flavour.clip_input.size // 16, flavour.clip_input.num_frames // 16
        num_inputs = flavour.channels[-1] * steps * (side // 2 + 1) ** 2
        self.fc6 = nn.Linear(num_inputs, flavour.num_features)
        self.fc7 = nn.Linear(flavour.num_features, flavour.num_features)
        self.stages = (*(f"maps.conv{name}" for group in _GROUPS for name in group), "fc6", "fc7")
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(_DROPOUT)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features of the whole clip."""
        maps_BM = self.maps(clip_BCTHW).flatten(1)
        hidden_BD = self.dropout(self.activation(self.fc6(maps_BM)))
        features_BD: Tensor = self.activation(self.fc7(hidden_BD))
        return features_BD[:, None]


def _convolutions(channels: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for index, (names, outputs) in enumerate(zip(_GROUPS, channels, strict=True)):
        for name in names:
            layers[f"conv{name}"] = nn.Conv3d(inputs, outputs, kernel_size=3, padding=1)
            layers[f"relu{name}"] = nn.ReLU()
            inputs = outputs
        # Time is kept in the first group, so that it does not vanish too early; the last pooling is padded.
        kernel = (1, 2, 2) if index == 0 else (2, 2, 2)
        layers[f"pool{index + 1}"] = nn.MaxPool3d(kernel, stride=kernel, padding=(0, 1, 1) if index == 4 else 0)
    return layers
