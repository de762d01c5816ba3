"""What pytorchvideo trained on Kinetics-400, at 30 frames a second."""

from models.backbones.published import KINETICS_ZOO, Published, renaming

_CONVERT = renaming([(r"blocks\.5\.pool\.", "blocks.5.")], ignored=["blocks.5.proj.weight", "blocks.5.proj.bias"])

WEIGHTS = {
    "kinetics400": {
        flavour: Published(f"{KINETICS_ZOO}/X3D_{flavour.upper()}.pyth", _CONVERT) for flavour in ("xs", "s", "m", "l")
    }
}
