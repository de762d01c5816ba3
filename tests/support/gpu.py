"""What tests on a GPU share. They import torch and what `models` needs, but no Prefect, MLflow, DVC or PyAV."""

import pytest
import torch

from models.build import VideoModel, build_model
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.target import Target
from models.optimise import make_optimizer
from models.parts import WHOLE
from models.spec import FineTuneParams, HeadParams, ModelParams
from models.step import Step
from tests.support.clips import NoiseLoader

NEEDS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DEVICE = torch.device("cuda")
NUM_CLASSES = 3


def debug_model(family: str) -> VideoModel:
    """The family's smallest flavour, on the GPU, without dropout."""
    params = ModelParams(family=family, flavour="debug", head=HeadParams(name="linear", dropout=0.0))
    return build_model(params, NUM_CLASSES, seed=0).to(DEVICE)


def step_of(model: VideoModel, job: FineTuneParams) -> Step:
    """A step of the job over all that requires a gradient."""
    return Step(model, make_optimizer(model, job), CrossEntropy(0.0).on(WHOLE), job)


def fixed_batch(model: VideoModel, num_clips: int = 6) -> tuple[torch.Tensor, Target]:
    """Clips that can be told apart, and what they are."""
    (batch,) = NoiseLoader(model.clip_input, num_clips, num_clips, NUM_CLASSES).epoch(0)
    return batch.clip_BCTHW.to(DEVICE), Target(batch.label_B.to(DEVICE))
