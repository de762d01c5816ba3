"""C2D, the 2D baseline of non-local networks (Wang et al. 2018, arXiv:1711.07971), as pytorchvideo builds it."""

from torch import nn

from models.backbones.builders import PooledBlocks, create_resnet
from models.backbones.sizes import ResNetFlavour

_SPATIAL = (1, 1, 1)


class C2D(PooledBlocks):
    """``clip_BCTHW`` to ``features_BTD``, a step for each two frames and D = 2048."""

    def __init__(self, flavour: ResNetFlavour) -> None:
        network = create_resnet(
            stem_dim_out=flavour.stem,
            stem_conv_kernel_size=(1, 7, 7),
            stage1_pool=nn.MaxPool3d,
            stage_conv_a_kernel_size=(_SPATIAL,) * 4,
            head=None,
        )
        super().__init__(network.blocks, 32 * flavour.stem, flavour.clip_input.num_frames // 2)
