"""How much what a model says hangs on each of its weights.

Shapes: B clips, K classes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from models.build import VideoModel
from models.inference import Loader
from models.parts import Part


def fisher_diagonal(model: VideoModel, part: Part, loader: Loader, *, seed: int) -> dict[str, Tensor]:
    """The diagonal of the Fisher information of a part's weights, under the model's names.

    Mean over clips of the squared gradient of the log-likelihood of a class that is drawn from what the model itself
    says, as the definition has it; labels would give the empirical Fisher (Kunstner et al. 2019, arXiv:1905.12558).
    Where the model asks each class on its own, yes or no to each is drawn. Clips go through one by one, since gradients
    of a batch are summed before they could be squared.

    Args:
        model: In eval mode.
        part: Whose weights.
        loader: Clips to measure on.
        seed: Of the classes drawn.
    """
    module = part.module(model)
    names = [part.prefix + name for name, _ in module.named_parameters()]
    weights = list(module.parameters())
    total = [torch.zeros_like(weight) for weight in weights]
    generator = torch.Generator().manual_seed(seed)
    for batch in loader.epoch(0):
        with torch.no_grad():
            inputs = part.inputs(model, batch.clip_BCTHW)
        for each in torch.split(inputs, 1):
            with torch.enable_grad():
                logits_1K = module(each).float()
                log_likelihood = (_of_answers if model.multi_label else _of_class)(logits_1K, generator)
                gradients = torch.autograd.grad(log_likelihood, weights)
            for sums, gradient in zip(total, gradients, strict=True):
                sums.add_(gradient.square())
    return {name: sums / loader.num_clips for name, sums in zip(names, total, strict=True)}


def _of_class(logits_1K: Tensor, generator: torch.Generator) -> Tensor:
    """Log-likelihood of a class that is drawn from what the model says."""
    log_likelihood_K = logits_1K.log_softmax(1)[0]
    drawn = torch.multinomial(log_likelihood_K.detach().exp().cpu(), 1, generator=generator)
    return log_likelihood_K[int(drawn)]


def _of_answers(logits_1K: Tensor, generator: torch.Generator) -> Tensor:
    """The same of a yes or no to each class."""
    drawn_1K = torch.bernoulli(logits_1K.detach().sigmoid().cpu(), generator=generator).to(logits_1K.device)
    return -F.binary_cross_entropy_with_logits(logits_1K, drawn_1K, reduction="sum")
