"""TimeSformer: attention along time and over space in turn."""

from models.backbones.family import Family
from models.backbones.hugging_face import PACKAGE
from models.backbones.timesformer.flavours import FLAVOURS
from models.backbones.timesformer.model import TimeSformer
from models.backbones.timesformer.weights import WEIGHTS

FAMILY = Family(FLAVOURS, TimeSformer, WEIGHTS, PACKAGE)
