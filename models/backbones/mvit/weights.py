"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CONVERT = renaming(ignored=["head.proj.weight", "head.proj.bias"])
_16X4 = Published(f"{KINETICS_ZOO}/MVIT_B_16x4.pyth", _CONVERT)
_32X3 = Published(f"{KINETICS_ZOO}/MVIT_B_32x3_f294077834.pyth", _CONVERT)

WEIGHTS = {"kinetics400": {"16x4": _16X4, "8x112": _16X4, "32x3": _32X3}}
