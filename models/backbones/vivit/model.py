"""ViViT, model 1 (Arnab et al. 2021, arXiv:2103.15691), from the layers of the package ``transformers``.

Shapes: B clips, C channels, T frames or steps, H height, W width, N tokens, D features.
"""

import torch
from torch import Tensor, nn

from models.backbones.family import Backbone
from models.backbones.hugging_face import configuration, modeling
from models.backbones.positions import Positions, resize_on_load
from models.backbones.sizes import TransformerFlavour
from models.backbones.tokens import beside_class_token

_TUBELET = 2
_PUBLISHED_STEPS = 16
_PUBLISHED_SIDE = 224


class ViViT(Backbone):
    """``clip_BCTHW`` to ``features_BTD`` with half as many steps as frames and twice the width of a token as D.

    Raises:
        UserError: The package ``transformers`` is not installed.
    """

    def __init__(self, flavour: TransformerFlavour) -> None:
        super().__init__()
        clip_input = flavour.clip_input
        config = configuration(
            "vivit",
            image_size=clip_input.size,
            num_frames=clip_input.num_frames,
            tubelet_size=[_TUBELET, flavour.patch, flavour.patch],
            hidden_size=flavour.width,
            num_hidden_layers=flavour.num_blocks,
            num_attention_heads=flavour.num_heads,
            intermediate_size=4 * flavour.width,
        )
        network = modeling("vivit").VivitModel(config, add_pooling_layer=False)
        self.num_features = 2 * flavour.width
        self.num_steps = clip_input.num_frames // _TUBELET
        self.cls_token: nn.Parameter = network.embeddings.cls_token
        self.pos_embed: nn.Parameter = network.embeddings.position_embeddings
        self.patch_embed: nn.Module = network.embeddings.patch_embeddings.projection
        self.blocks: nn.ModuleList = network.layers
        self.norm: nn.Module = network.layernorm
        blocks = (f"blocks.{index}" for index in range(flavour.num_blocks))
        self.stages = ("cls_token", "pos_embed", "patch_embed", *blocks, "norm")
        side, published_side = clip_input.size // flavour.patch, _PUBLISHED_SIDE // flavour.patch
        published, own = (_PUBLISHED_STEPS, published_side, published_side), (self.num_steps, side, side)
        resize_on_load(self, {"pos_embed": Positions(published, own, num_extra=1)})

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        patches_BND = self.patch_embed(clip_BCTHW).flatten(2).transpose(1, 2)
        class_B1D = self.cls_token.expand(clip_BCTHW.shape[0], -1, -1)
        tokens_BND = torch.cat([class_B1D, patches_BND], 1) + self.pos_embed
        for block in self.blocks:
            tokens_BND = block(tokens_BND)
        tokens_BND = self.norm(tokens_BND)
        steps_BTD = tokens_BND[:, 1:].reshape(tokens_BND.shape[0], self.num_steps, -1, tokens_BND.shape[2]).mean(2)
        return beside_class_token(tokens_BND[:, 0], steps_BTD)
