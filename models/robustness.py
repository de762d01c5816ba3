"""How often a model is right about clips that were changed to mislead it.

Shapes: N clips, B clips of a batch, V views: plain and attacked.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from models.adversarial import PixelBound, attack
from models.build import VideoModel
from models.inference import Loader, one_thread_each
from models.objectives.target import Target


def robust_correct(model: VideoModel, loader: Loader, *, epsilon: float, steps: int, seed: int) -> NDArray[np.bool_]:
    """Which clips a model is right about before and after an attack (PGD, Madry et al. 2018, arXiv:1706.06083).

    It is an upper bound: a better attack would mislead the model more often.

    Args:
        model: In eval mode.
        loader: Plain clips, all labelled.
        epsilon: The largest change of a pixel's values 0..255.
        steps: Of the attack.
        seed: Of where attacks start.

    Returns:
        ``correct_N`` in the order of the loader's table.
    """
    bound = PixelBound(model.clip_input, epsilon)
    correct_N = np.zeros(loader.num_clips, dtype=bool)
    with one_thread_each():
        for position, batch in enumerate(tqdm(loader.epoch(0), "attack", len(loader), leave=False, disable=None)):
            rng = np.random.default_rng([seed, position])
            target = Target.of(batch.label_B, batch.wanted_BK)
            attacked_BCTHW = attack(model, batch.clip_BCTHW, target, bound, steps=steps, rng=rng)
            with torch.inference_mode():
                right_VB = torch.stack([target.right(model(each)) for each in (batch.clip_BCTHW, attacked_BCTHW)])
            right_B = right_VB.all(0)
            correct_N[batch.index_B.cpu().numpy()] = right_B.cpu().numpy()
    return correct_N
