"""MViT (Fan et al. 2021, arXiv:2104.11227) as pytorchvideo builds it.

Layers carry pytorchvideo's names, so that published weights fit.

Shapes: B clips, C channels, T frames or steps, H height, W width, N tokens, D features.
"""

from torch import Tensor, nn

from models.backbones.builders import create_multiscale_vision_transformers
from models.backbones.family import Backbone
from models.backbones.mvit.flavours import MViTFlavour
from models.backbones.positions import Positions, resize_on_load
from models.backbones.tokens import beside_class_token

_PATCH_STRIDE = (2, 4, 4)
_PUBLISHED_SIDE = 224


class MViT(Backbone):
    """``clip_BCTHW`` to ``features_BTD`` with half as many steps as frames and D = 1536.

    The first half of D is the class token, which the published classifier reads and which is the same at each step; the
    second is the mean of the step's own tokens.
    """

    def __init__(self, flavour: MViTFlavour) -> None:
        super().__init__()
        clip_input = flavour.clip_input
        network = create_multiscale_vision_transformers(
            spatial_size=clip_input.size,
            temporal_size=clip_input.num_frames,
            depth=flavour.num_blocks,
            patch_embed_dim=flavour.width,
            conv_patch_embed_stride=_PATCH_STRIDE,
            # As in pytorchvideo.models.hub.mvit_base_16x4.
            embed_dim_mul=[[block, 2.0] for block in flavour.doublings],
            atten_head_mul=[[block, 2.0] for block in flavour.doublings],
            pool_q_stride_size=[[block, 1, 2, 2] for block in flavour.doublings],
            pool_kv_stride_adaptive=[1, 8, 8],
            pool_kvq_kernel=[3, 3, 3],
            head=None,
        )
        self.patch_embed: nn.Module = network.patch_embed
        self.cls_positional_encoding: nn.Module = network.cls_positional_encoding
        self.blocks: nn.ModuleList = network.blocks
        self.norm_embed: nn.Module = network.norm_embed
        self.stages = (
            "patch_embed",
            "cls_positional_encoding",
            *(f"blocks.{index}" for index in range(flavour.num_blocks)),
            "norm_embed",
        )
        self.num_features = 2 * flavour.width * 2 ** len(flavour.doublings)
        self.num_steps = clip_input.num_frames // _PATCH_STRIDE[0]
        self._grid = [self.num_steps, clip_input.size // _PATCH_STRIDE[1], clip_input.size // _PATCH_STRIDE[2]]
        side, published_side = self._grid[1], _PUBLISHED_SIDE // _PATCH_STRIDE[1]
        published_steps = flavour.published_frames // _PATCH_STRIDE[0]
        name = "cls_positional_encoding.pos_embed"
        space = Positions((1, published_side, published_side), (1, side, side))
        time = Positions((published_steps, 1, 1), (self.num_steps, 1, 1))
        resize_on_load(self, {f"{name}_spatial": space, f"{name}_temporal": time})

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        tokens_BND: Tensor = self.cls_positional_encoding(self.patch_embed(clip_BCTHW))
        grid = self._grid
        for block in self.blocks:
            tokens_BND, grid = block(tokens_BND, grid)
        tokens_BND = self.norm_embed(tokens_BND)
        steps_BTD = tokens_BND[:, 1:].reshape(tokens_BND.shape[0], grid[0], -1, tokens_BND.shape[2]).mean(2)
        return beside_class_token(tokens_BND[:, 0], steps_BTD)
