"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CONVERT = renaming(ignored=["blocks.6.proj.weight", "blocks.6.proj.bias"])
_KINETICS = Published(f"{KINETICS_ZOO}/I3D_8x8_R50.pyth", _CONVERT)

WEIGHTS = {"kinetics400": {"8x8": _KINETICS, "8x112": _KINETICS}}
