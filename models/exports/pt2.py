"""PyTorch's exported program: a zip of graph and tensors, read without the model's code."""

from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from models.exports.program import Program
from models.files import replacing


def write_pt2(graph: ExportedProgram, path: Path) -> None:
    """Write ``graph``, from :func:`models.exports.program.traced`."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.export.save(graph, file)


def read_pt2(path: Path) -> Program:
    """Read it for the CPU; threads are those of torch."""
    with path.open("rb") as file:
        module = torch.export.load(file).module()

    def answer(clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        logits_BK, embedding_BD = module(clip_BCTHW)
        return logits_BK, embedding_BD

    return answer
