"""I3D (Carreira and Zisserman 2017, arXiv:1705.07750) on a ResNet-50, as pytorchvideo builds it."""

from torch import nn

from models.backbones.builders import PooledBlocks, create_resnet
from models.backbones.sizes import ResNetFlavour

_TEMPORAL = (3, 1, 1)
_SPATIAL = (1, 1, 1)


class I3D(PooledBlocks):
    """``clip_BCTHW`` to ``features_BTD`` with half as many steps as frames and D = 2048."""

    def __init__(self, flavour: ResNetFlavour) -> None:
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
        super().__init__(network.blocks, 32 * flavour.stem, flavour.clip_input.num_frames // 2)
