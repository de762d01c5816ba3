"""Masked autoencoding of video (VideoMAE, Tong et al. 2022, arXiv:2203.12602).

Most patches are left out, the same ones at every step, so that none can be copied from its neighbour in time. The
encoder sees what is left; a small decoder, which is thrown away afterwards, paints the rest.

Shapes: B clips, C channels, T steps, S patches of a step, V of them seen, M of them masked, P pixels of a patch (over
its frames), X values of these pixels, D features, E features of the decoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.backbones.family import Backbone
from models.backbones.tokens import PatchBackbone
from models.backbones.vit.model import Block, initialise
from models.errors import UserError
from models.pretrain.pretext import Pretext
from models.spec import PretrainParams

_HEAD_WIDTH = 64
_STD = 0.02
_EPSILON = 1e-6


class MaskedAutoencoder(Pretext):
    """Paints what is masked; its loss is the mean squared error of pixels, normalised patch by patch and by channel.

    Raises:
        UserError: The backbone has no patches to leave out.
    """

    def __init__(self, backbone: Backbone, num_steps: int, num_patches: int, params: PretrainParams) -> None:
        super().__init__()
        if not isinstance(backbone, PatchBackbone):
            raise UserError(
                "params.yaml: pretrain.objective: masked needs a family of patches (vit, videomae); take contrastive, "
                "which pretrains every family"
            )
        self.backbone: PatchBackbone = backbone
        self._num_seen = max(1, min(round(num_patches * (1.0 - params.mask_ratio)), num_patches - 1))
        width = max(backbone.width // 2, 8)
        self.narrow = nn.Linear(backbone.width, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, 1, width))
        self.register_buffer("position_TSE", _sinusoids(num_steps * num_patches, width).view(num_steps, -1, width))
        self.position_TSE: Tensor
        blocks = (Block(width, max(1, width // _HEAD_WIDTH)) for _ in range(params.decoder_blocks))
        self.decoder = nn.Sequential(*blocks, nn.LayerNorm(width, eps=_EPSILON))
        self.paint = nn.Linear(width, 3 * backbone.tubelet * backbone.patch**2)
        nn.init.normal_(self.mask_token, std=_STD)
        for part in (self.narrow, self.decoder, self.paint):
            part.apply(initialise)

    def forward(self, *clips_BCTHW: Tensor) -> Tensor:
        """The loss of one clip of each video; which patches are masked is drawn anew."""
        (clip_BCTHW,) = clips_BCTHW
        patches_BTSD = self.backbone.embed(clip_BCTHW)
        num_clips, _, num_patches, _ = patches_BTSD.shape
        # Drawn on the CPU, so that a seed means the same on every device.
        order_BS = torch.rand(num_clips, num_patches).argsort(1).to(patches_BTSD.device)
        seen_BV, masked_BM = order_BS[:, : self._num_seen], order_BS[:, self._num_seen :]
        painted_BTMX = self._painted(self.backbone.encode(_chosen(patches_BTSD, seen_BV)), seen_BV, masked_BM)
        wanted_BTSX = _normalised(clip_BCTHW, self.backbone.tubelet, self.backbone.patch)
        return F.mse_loss(painted_BTMX.float(), _chosen(wanted_BTSX, masked_BM))

    def _painted(self, encoded_BTVD: Tensor, seen_BV: Tensor, masked_BM: Tensor) -> Tensor:
        narrow_BTVE = self.narrow(encoded_BTVD)
        num_steps, num_patches, width = self.position_TSE.shape
        empty_BTSE = self.mask_token.to(narrow_BTVE.dtype).expand(len(narrow_BTVE), num_steps, num_patches, width)
        index_BTVE = seen_BV[:, None, :, None].expand_as(narrow_BTVE)
        filled_BTSE = empty_BTSE.scatter(2, index_BTVE, narrow_BTVE) + self.position_TSE
        decoded_BTSE = self.decoder(filled_BTSE.flatten(1, 2)).view_as(filled_BTSE)
        painted_BTMX: Tensor = self.paint(_chosen(decoded_BTSE, masked_BM))
        return painted_BTMX


def _chosen(of_BTSD: Tensor, index_BN: Tensor) -> Tensor:
    """The same patches of every step."""
    num_clips, num_steps, _, width = of_BTSD.shape
    return of_BTSD.gather(2, index_BN[:, None, :, None].expand(num_clips, num_steps, -1, width))


def _normalised(clip_BCTHW: Tensor, tubelet: int, patch: int) -> Tensor:
    """Each patch's pixels, with mean 0 and variance 1 in each channel, as one vector."""
    num_clips, channels, num_frames, height, width = clip_BCTHW.shape
    grid = (num_frames // tubelet, tubelet, height // patch, patch, width // patch, patch)
    cut = clip_BCTHW.reshape(num_clips, channels, *grid).permute(0, 2, 4, 6, 3, 5, 7, 1)
    pixels_BTSPC = cut.reshape(num_clips, grid[0], grid[2] * grid[4], tubelet * patch**2, channels)
    mean, variance = pixels_BTSPC.mean(3, keepdim=True), pixels_BTSPC.var(3, keepdim=True)
    return ((pixels_BTSPC - mean) / (variance.sqrt() + _EPSILON)).flatten(3)


def _sinusoids(num_positions: int, width: int) -> Tensor:
    """Sines and cosines of growing wavelength (Vaswani et al. 2017, arXiv:1706.03762)."""
    angle = torch.arange(num_positions)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width]
