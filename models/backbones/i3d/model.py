"""I3D (Carreira and Zisserman 2017, arXiv:1705.07750) on a ResNet-50, as pytorchvideo builds it.

Shapes: B clips, C channels, T frames or steps, H height, W width, D features.
"""

from torch import Tensor, nn

from models.backbones.builders import create_resnet, stages_of
from models.backbones.family import Backbone
from models.backbones.i3d.flavours import I3DFlavour

_TEMPORAL = (3, 1, 1)
_SPATIAL = (1, 1, 1)


class I3D(Backbone):
    """``clip_BCTHW`` to ``features_BTD`` with half as many steps as frames and D = 2048."""

    def __init__(self, flavour: I3DFlavour) -> None:
        super().__init__()
        self.num_features = 32 * flavour.stem
        self.num_steps = flavour.clip_input.num_frames // 2
        network = create_resnet(
            stem_dim_out=flavour.stem,
            stem_conv_kernel_size=(5, 7, 7),
            stage1_pool=nn.MaxPool3d,
            # Which blocks look along time: as in pytorchvideo.models.hub.i3d_r50.
            stage_conv_a_kernel_size=(
                _TEMPORAL,
                [_TEMPORAL, _SPATIAL],
                [_TEMPORAL, _SPATIAL],
                [_SPATIAL, _TEMPORAL],
            ),
            head=None,
        )
        self.blocks = nn.Sequential(*network.blocks)
        self.stages = stages_of(self.blocks)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        maps_BDTHW: Tensor = self.blocks(clip_BCTHW)
        return maps_BDTHW.mean((3, 4)).transpose(1, 2)
