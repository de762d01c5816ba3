"""ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) over single frames.

Layers carry timm's names (``vit_tiny_patch16_224`` and its kin, without the classifier), so that published weights fit.

Shapes: B clips, C channels, T frames, H height, W width, N frames of all clips, S patches
of a frame, L its tokens, D features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.positions import Positions, resize_on_load
from models.backbones.tokens import PatchBackbone
from models.backbones.vit.flavours import ViTFlavour

_EPSILON = 1e-6
_STD = 0.02
_MLP_RATIO = 4
_PUBLISHED_SIDE = 224


class ViT(PatchBackbone):
    """One feature vector a frame, its class token: ``clip_BCTHW`` to ``features_BTD``."""

    def __init__(self, flavour: ViTFlavour) -> None:
        super().__init__()
        width, side = flavour.width, flavour.clip_input.size // flavour.patch
        self.num_features = self.width = width
        self.tubelet, self.patch = 1, flavour.patch
        self.num_steps = flavour.clip_input.num_frames
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + side * side, width))
        self.patch_embed = PatchEmbed(3, width, flavour.patch)
        self.blocks = nn.Sequential(*(Block(width, flavour.num_heads) for _ in range(flavour.num_blocks)))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        blocks = (f"blocks.{index}" for index in range(flavour.num_blocks))
        self.stages = ("cls_token", "pos_embed", "patch_embed", *blocks, "norm")
        nn.init.normal_(self.cls_token, std=_STD)
        nn.init.normal_(self.pos_embed, std=_STD)
        self.apply(initialise)
        published_side = _PUBLISHED_SIDE // flavour.patch
        about = Positions((1, published_side, published_side), (1, side, side), num_extra=1)
        resize_on_load(self, {"pos_embed": about})

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features of each frame on its own."""
        num_clips, _, num_frames, _, _ = clip_BCTHW.shape
        tokens_NLD = self._encoded(self._embedded(clip_BCTHW))
        return tokens_NLD[:, 0].view(num_clips, num_frames, -1)

    def embed(self, clip_BCTHW: Tensor) -> Tensor:
        """A token a patch, with its position in the frame."""
        num_clips, _, num_frames, _, _ = clip_BCTHW.shape
        patches_NSD = self._embedded(clip_BCTHW)
        return patches_NSD.reshape(num_clips, num_frames, -1, self.width)

    def encode(self, patches_BTSD: Tensor) -> Tensor:
        """Those of a frame attend to each other and to the class token."""
        return self._encoded(patches_BTSD.flatten(0, 1))[:, 1:].reshape(patches_BTSD.shape)

    def _embedded(self, clip_BCTHW: Tensor) -> Tensor:
        patches_NSD: Tensor = self.patch_embed(clip_BCTHW.transpose(1, 2).flatten(0, 1))
        return patches_NSD + self.pos_embed[:, 1:]

    def _encoded(self, patches_NSD: Tensor) -> Tensor:
        class_N1D = (self.cls_token + self.pos_embed[:, :1]).expand(patches_NSD.shape[0], -1, -1)
        tokens_NLD: Tensor = self.norm(self.blocks(torch.cat([class_N1D, patches_NSD], 1)))
        return tokens_NLD


class PatchEmbed(nn.Module):
    """``frame_NCHW`` to one token a patch, row by row."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, frame_NCHW: Tensor) -> Tensor:
        """Tokens ``patches_NLD``."""
        maps_NDHW: Tensor = self.proj(frame_NCHW)
        return maps_NDHW.flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind its normalisation and beside a shortcut."""

    residual_branches = ("attn", "mlp")

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPSILON)
        self.attn = _Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPSILON)
        self.mlp = _Mlp(width)

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        """Tokens of the same shape."""
        tokens_NLD = tokens_NLD + self.attn(self.norm1(tokens_NLD))
        changed_NLD: Tensor = tokens_NLD + self.mlp(self.norm2(tokens_NLD))
        return changed_NLD


def initialise(module: nn.Module) -> None:
    """Random weights as of ViT: small normal ones, no biases."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class _Attention(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self._num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        split = self.qkv(tokens_NLD).unflatten(2, (3, self._num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        mixed_NHLD = F.scaled_dot_product_attention(query, key, value)
        projected_NLD: Tensor = self.proj(mixed_NHLD.transpose(1, 2).flatten(2))
        return projected_NLD


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _MLP_RATIO * width)
        self.fc2 = nn.Linear(_MLP_RATIO * width, width)

    def forward(self, tokens_NLD: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(tokens_NLD)))
        return result
