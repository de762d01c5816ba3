"""The way of fine-tuning that a job asks for, on any model."""

from dataclasses import dataclass

from models.adapters.adapter import add_adapters
from models.adapters.freeze import trained_names
from models.adapters.lora import add_lora, merge_lora
from models.adapters.record import trained_of
from models.build import VideoModel
from models.spec import FineTuneParams


@dataclass(frozen=True)
class Attached:
    """A model that is ready for a job.

    Attributes:
        model: Its parameters require a gradient where they are trained.
        trained: Names of these.
    """

    model: VideoModel
    trained: frozenset[str]

    def merge(self) -> None:
        """Fold in changes of weights; adapters stay. The model says what it said, and nothing is frozen any more."""
        merge_lora(self.model.backbone)
        self.model.requires_grad_(True)


def attach(model: VideoModel, params: FineTuneParams, *, seed: int) -> Attached:
    """Get ``model`` ready for the job: add what the method adds, which changes no answer yet, and freeze the rest.

    Args:
        model: On any device.
        params: The job.
        seed: Of what is added. The caller's random state is left as it was.

    Raises:
        UserError: The method does not fit the backbone; the message names the remedy.
    """
    if params.method == "lora":
        add_lora(model.backbone, params.lora, seed=seed)
    if params.method == "adapter":
        add_adapters(model, params.adapter, seed=seed)
    trained = trained_names(model, params)
    for name, weights in model.named_parameters():
        weights.requires_grad_(name in trained)
    sizes = {name: weights.numel() for name, weights in model.named_parameters()}
    model.trained = trained_of(params.method, sizes, trained)
    return Attached(model, trained)
