"""Slow: a ResNet-50 on few frames that looks along time in its last stages alone."""

from models.backbones.family import Family
from models.backbones.slow.flavours import FLAVOURS
from models.backbones.slow.model import Slow
from models.backbones.slow.weights import WEIGHTS

FAMILY = Family(FLAVOURS, Slow, WEIGHTS)
