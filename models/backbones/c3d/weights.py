"""Published weights of C3D: none that this network fits; a safetensors file does."""

from models.backbones.family import Weights

WEIGHTS: dict[str, dict[str, Weights]] = {}
