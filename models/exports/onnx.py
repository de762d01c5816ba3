"""ONNX: written by torch, read by ONNX Runtime on the CPU.

The file holds its weights and names no other file, and is read from memory, so that none can be slipped in.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.export import ExportedProgram

from models.exports.program import Program
from models.files import replacing

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT = "clip"
OUTPUTS = ("logits", "embedding")


def write_onnx(graph: ExportedProgram, path: Path) -> None:
    """Write ``graph``, from :func:`models.exports.program.traced`; the same graph gives the same bytes.

    Raises:
        torch.onnx.OnnxExporterError: ONNX has no operator for something in it.
        ValueError: It has more than 2 GB.
    """
    with _hushed():
        translated = torch.onnx.export(
            graph, dynamo=True, input_names=[INPUT], output_names=list(OUTPUTS), verbose=False
        )
    assert translated is not None
    proto = translated.model_proto
    _forget_where_it_was_made(proto)
    with replacing(path) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))


def read_onnx(path: Path) -> Program:
    """Read it for the CPU, with as many threads as torch has by now."""
    # Versions from 1.29 on send usage home; those that are allowed do not, and this is for whoever changes that.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Threads that wait by spinning take the cores from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def answer(clip_BCTHW: Tensor) -> tuple[Tensor, Tensor]:
        logits_BK, embedding_BD = session.run(list(OUTPUTS), {INPUT: clip_BCTHW.cpu().contiguous().numpy()})
        return torch.from_numpy(logits_BK), torch.from_numpy(embedding_BD)

    return answer


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what torch's exporter says about its own parts and about torchvision, which nothing here needs."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
            yield
    finally:
        registration.setLevel(level)


def _forget_where_it_was_made(proto: "ModelProto") -> None:
    """Each node tells the lines of code that it comes from: paths of one machine, which change the bytes on others."""
    for graph in (proto.graph, *proto.functions):
        for node in graph.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        graph.ClearField("metadata_props")
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info, *proto.graph.initializer):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    proto.ClearField("metadata_props")
