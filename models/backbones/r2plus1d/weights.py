"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CLASSIFIER = ["blocks.5.proj.weight", "blocks.5.proj.bias"]
_KINETICS = Published(f"{KINETICS_ZOO}/R2PLUS1D_16x4_R50.pyth", renaming(ignored=_CLASSIFIER))

WEIGHTS = {"kinetics400": {"16x4": _KINETICS, "8x112": _KINETICS}}
