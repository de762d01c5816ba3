"""VideoMAE's encoder (Tong et al. 2022, arXiv:2203.12602) from the layers of the package ``transformers``.

Shapes: B clips, C channels, T frames or steps, H height, W width, S patches of a step, N tokens,
D features.
"""

from torch import Tensor, nn

from models.backbones.hugging_face import configuration, modeling
from models.backbones.sizes import TransformerFlavour
from models.backbones.tokens import PatchBackbone

_TUBELET = 2


class VideoMAE(PatchBackbone):
    """``clip_BCTHW`` to ``features_BTD`` with half as many steps as frames: the mean of each step's tokens.

    The published classifier reads the mean over all tokens, normalised by ``fc_norm``; here it is each step's mean.

    Raises:
        UserError: The package ``transformers`` is not installed.
    """

    position_1ND: Tensor

    def __init__(self, flavour: TransformerFlavour) -> None:
        super().__init__()
        clip_input = flavour.clip_input
        config = configuration(
            "videomae",
            image_size=clip_input.size,
            patch_size=flavour.patch,
            num_frames=clip_input.num_frames,
            tubelet_size=_TUBELET,
            hidden_size=flavour.width,
            num_hidden_layers=flavour.num_blocks,
            num_attention_heads=flavour.num_heads,
            intermediate_size=4 * flavour.width,
        )
        network = modeling("videomae").VideoMAEModel(config)
        self.num_features = self.width = flavour.width
        self.tubelet, self.patch = _TUBELET, flavour.patch
        self.num_steps = clip_input.num_frames // _TUBELET
        self.patch_embed: nn.Module = network.embeddings.patch_embeddings.projection
        self.register_buffer("position_1ND", network.embeddings.position_embeddings, persistent=False)
        self.blocks: nn.ModuleList = network.encoder.layer
        self.fc_norm = nn.LayerNorm(flavour.width)
        self.stages = ("patch_embed", *(f"blocks.{index}" for index in range(flavour.num_blocks)), "fc_norm")

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each step."""
        steps_BTD = self.encode(self.embed(clip_BCTHW)).mean(2)
        features_BTD: Tensor = self.fc_norm(steps_BTD)
        return features_BTD

    def embed(self, clip_BCTHW: Tensor) -> Tensor:
        """A token a patch, with its position: step by step, row by row."""
        maps_BDTHW: Tensor = self.patch_embed(clip_BCTHW)
        tokens_BND = maps_BDTHW.flatten(2).transpose(1, 2) + self.position_1ND
        return tokens_BND.reshape(tokens_BND.shape[0], self.num_steps, -1, self.width)

    def encode(self, patches_BTSD: Tensor) -> Tensor:
        """All of them attend to each other."""
        tokens_BND = patches_BTSD.flatten(1, 2)
        for block in self.blocks:
            tokens_BND = block(tokens_BND)
        return tokens_BND.reshape(patches_BTSD.shape)
