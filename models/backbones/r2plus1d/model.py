"""R(2+1)D (Tran et al. 2018, arXiv:1711.11248) on a ResNet-50, as pytorchvideo builds it."""

from models.backbones.builders import PooledBlocks, create_r2plus1d
from models.backbones.sizes import ResNetFlavour


class R2Plus1D(PooledBlocks):
    """``clip_BCTHW`` to ``features_BTD`` with a quarter as many steps as frames and D = 2048."""

    def __init__(self, flavour: ResNetFlavour) -> None:
        network = create_r2plus1d(stem_dim_out=flavour.stem)
        super().__init__(network.blocks[:-1], 32 * flavour.stem, flavour.clip_input.num_frames // 4)
