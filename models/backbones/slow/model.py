"""The slow pathway of SlowFast alone (Feichtenhofer et al. 2019, arXiv:1812.03982), as pytorchvideo builds it."""

from models.backbones.builders import PooledBlocks, create_resnet
from models.backbones.sizes import ResNetFlavour


class Slow(PooledBlocks):
    """Features of each frame in its surroundings: ``clip_BCTHW`` to ``features_BTD`` with D = 2048."""

    def __init__(self, flavour: ResNetFlavour) -> None:
        network = create_resnet(stem_dim_out=flavour.stem, stem_conv_kernel_size=(1, 7, 7), head=None)
        super().__init__(network.blocks, 32 * flavour.stem, flavour.clip_input.num_frames)
