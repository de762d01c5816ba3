"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CLASSIFIER = ["blocks.5.proj.weight", "blocks.5.proj.bias"]
_KINETICS = Published(f"{KINETICS_ZOO}/CSN_32x2_R101.pyth", renaming(ignored=_CLASSIFIER))

WEIGHTS = {"kinetics400": {"32x2": _KINETICS, "16x112": _KINETICS}}
