"""VideoMAE: a plain transformer over patches of space and time, made for masked pretraining."""

from models.backbones.family import Family
from models.backbones.hugging_face import PACKAGE
from models.backbones.videomae.flavours import FLAVOURS
from models.backbones.videomae.model import VideoMAE
from models.backbones.videomae.weights import WEIGHTS

FAMILY = Family(FLAVOURS, VideoMAE, WEIGHTS, PACKAGE)
