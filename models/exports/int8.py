"""ONNX with eight-bit weights and activations, whose ranges are those of training clips.

Quantise and dequantise pairs around each operator (QDQ), weights by channel. Weights have seven bits of their eight:
processors without VNNI add products of eight bits in sixteen and would saturate, and answers would differ between
machines.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from models.exports.onnx import INPUT
from models.files import replacing

# The rest is cheap, and loses accuracy for nothing.
_QUANTISED = ("Conv", "MatMul", "Gemm")


def write_int8(onnx: Path, batches: Iterable[Tensor], path: Path) -> None:
    """Write the program ``onnx`` in eight bits.

    Args:
        onnx: From :func:`models.exports.onnx.write_onnx`.
        batches: ``clip_BCTHW`` of clips that look like those to come.
        path: The file to write.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Clips(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> dict[str, object] | None:
            clip_BCTHW = next(self._batches, None)
            return None if clip_BCTHW is None else {INPUT: clip_BCTHW.cpu().contiguous().numpy()}

    with _hushed(), replacing(path) as temporary, tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(onnx), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(temporary),
            Clips(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )


@contextmanager
def _hushed() -> Iterator[None]:
    """Without the quantiser's advice on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
