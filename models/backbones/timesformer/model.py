"""TimeSformer with divided attention (Bertasius et al. 2021, arXiv:2102.05095), from the layers of ``transformers``.

Shapes: B clips, C channels, T frames, H height, W width, S patches of a frame, N tokens, D features.
"""

import torch
from torch import Tensor, nn

from models.backbones.family import Backbone
from models.backbones.hugging_face import configuration, modeling
from models.backbones.positions import Positions, resize_on_load
from models.backbones.sizes import TransformerFlavour
from models.backbones.tokens import beside_class_token

_PUBLISHED_FRAMES = 8
_PUBLISHED_SIDE = 224


class TimeSformer(Backbone):
    """``clip_BCTHW`` to ``features_BTD`` with a step a frame and twice the width of a token as D.

    Raises:
        UserError: The package ``transformers`` is not installed.
    """

    def __init__(self, flavour: TransformerFlavour) -> None:
        super().__init__()
        self.tokens_place_by_place = True
        clip_input = flavour.clip_input
        config = configuration(
            "timesformer",
            image_size=clip_input.size,
            patch_size=flavour.patch,
            num_frames=clip_input.num_frames,
            hidden_size=flavour.width,
            num_hidden_layers=flavour.num_blocks,
            num_attention_heads=flavour.num_heads,
            intermediate_size=4 * flavour.width,
        )
        network = modeling("timesformer").TimesformerModel(config)
        self.num_features = 2 * flavour.width
        self.num_steps = clip_input.num_frames
        self.cls_token: nn.Parameter = network.embeddings.cls_token
        self.pos_embed: nn.Parameter = network.embeddings.position_embeddings
        self.time_embed: nn.Parameter = network.embeddings.time_embeddings
        self.patch_embed: nn.Module = network.embeddings.patch_embeddings.projection
        self.blocks: nn.ModuleList = network.encoder.layer
        self.norm: nn.Module = network.layernorm
        blocks = (f"blocks.{index}" for index in range(flavour.num_blocks))
        self.stages = ("cls_token", "pos_embed", "time_embed", "patch_embed", *blocks, "norm")
        side, published_side = clip_input.size // flavour.patch, _PUBLISHED_SIDE // flavour.patch
        space = Positions((1, published_side, published_side), (1, side, side), num_extra=1)
        time = Positions((_PUBLISHED_FRAMES, 1, 1), (self.num_steps, 1, 1))
        resize_on_load(self, {"pos_embed": space, "time_embed": time})

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each frame."""
        tokens_BND = self._embedded(clip_BCTHW)
        for block in self.blocks:
            (tokens_BND,) = block(tokens_BND)
        tokens_BND = self.norm(tokens_BND)
        patches_BSTD = tokens_BND[:, 1:].reshape(tokens_BND.shape[0], -1, self.num_steps, tokens_BND.shape[2])
        return beside_class_token(tokens_BND[:, 0], patches_BSTD.mean(1))

    def _embedded(self, clip_BCTHW: Tensor) -> Tensor:
        """The class token, and then a token a patch: patch by patch, and within one frame by frame."""
        num_clips, _, num_frames, _, _ = clip_BCTHW.shape
        maps_NDHW = self.patch_embed(clip_BCTHW.transpose(1, 2).flatten(0, 1))
        patches_BTSD = maps_NDHW.flatten(2).transpose(1, 2).reshape(num_clips, num_frames, -1, maps_NDHW.shape[1])
        patches_BSTD = (patches_BTSD + self.pos_embed[:, None, 1:]).transpose(1, 2) + self.time_embed[:, None]
        class_B1D = (self.cls_token + self.pos_embed[:, :1]).expand(num_clips, -1, -1)
        return torch.cat([class_B1D, patches_BSTD.flatten(1, 2)], 1)
