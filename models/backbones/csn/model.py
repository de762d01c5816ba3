"""Interaction-reduced CSN (Tran et al. 2019, arXiv:1904.02811), as pytorchvideo builds it."""

from torch import nn

from models.backbones.builders import PooledBlocks, create_csn
from models.backbones.csn.flavours import CSNFlavour


class CSN(PooledBlocks):
    """``clip_BCTHW`` to ``features_BTD`` with an eighth as many steps as frames and D = 2048."""

    def __init__(self, flavour: CSNFlavour) -> None:
        network = create_csn(model_depth=flavour.depth, stem_dim_out=flavour.stem, stem_pool=nn.MaxPool3d)
        super().__init__(network.blocks[:-1], 32 * flavour.stem, flavour.clip_input.num_frames // 8)
