"""X3D (Feichtenhofer 2020, arXiv:2004.04730) as pytorchvideo builds it.

Shapes: B clips, C channels, T frames, H height, W width, D features.
"""

from torch import Tensor, nn

from models.backbones.builders import create_x3d, stages_of
from models.backbones.family import Backbone
from models.backbones.x3d.flavours import X3DFlavour


class X3D(Backbone):
    """Features of each frame in its surroundings: ``clip_BCTHW`` to ``features_BTD``; time is not thinned.

    The published head projects, pools over time and space, and projects again. Here it pools over space alone and
    leaves time to the model's head; its weights are the same.
    """

    def __init__(self, flavour: X3DFlavour) -> None:
        super().__init__()
        self.num_features = flavour.num_features
        self.num_steps = flavour.clip_input.num_frames
        network = create_x3d(
            input_clip_length=flavour.clip_input.num_frames,
            input_crop_size=flavour.clip_input.size,
            width_factor=flavour.width,
            depth_factor=flavour.depth,
            head_dim_out=flavour.num_features,
            inner_act=nn.SiLU,  # the same function as the builder's own Swish, which uses what torch deprecates
        )
        *stages, head = network.blocks
        head.pool.pool = _SpatialMean()
        self.blocks = nn.Sequential(*stages, head.pool)
        self.stages = stages_of(self.blocks)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Features at each frame."""
        features_BDT11: Tensor = self.blocks(clip_BCTHW)
        return features_BDT11.flatten(2).transpose(1, 2)


class _SpatialMean(nn.Module):
    def forward(self, maps_BCTHW: Tensor) -> Tensor:
        return maps_BCTHW.mean((3, 4), keepdim=True)
