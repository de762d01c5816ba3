"""The formats by name: how they are written and read."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch import Tensor
from torch.export import ExportedProgram

from models.build import VideoModel
from models.exports.files import FILES
from models.exports.int8 import write_int8
from models.exports.onnx import read_onnx, write_onnx
from models.exports.program import Program, traced
from models.exports.pt2 import read_pt2, write_pt2
from models.spec import Format


def write_programs(
    model: VideoModel, names: Sequence[Format], calibration: Callable[[], Iterable[Tensor]], folder: Path
) -> tuple[dict[Format, Program], dict[Format, str]]:
    """Write ``model`` in each format and read it again.

    Args:
        model: Left as it is.
        names: Which formats.
        calibration: Makes batches ``clip_BCTHW`` of training clips, for ``int8``.
        folder: Where the files go.

    Returns:
        What can be read, and why the others cannot be made.
    """
    made: dict[Format, Program] = {}
    failed: dict[Format, str] = {}
    graph: ExportedProgram | None = None
    for name in names:
        try:
            graph = graph or traced(model)
            _write(name, graph, calibration, folder)
            made[name] = read_program(name, folder)
        except Exception as error:  # exporters raise what they like of an operator that they do not know
            failed[name] = f"it cannot be exported: {first_line(error)}"
    return made, failed


def read_program(name: Format, folder: Path) -> Program:
    """Read one format of a model; it answers on the CPU."""
    path = folder / FILES[name]
    return read_pt2(path) if name == "pt2" else read_onnx(path)


def first_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def _write(name: Format, graph: ExportedProgram, calibration: Callable[[], Iterable[Tensor]], folder: Path) -> None:
    if name == "pt2":
        write_pt2(graph, folder / FILES[name])
        return
    onnx = folder / FILES["onnx"]
    if not onnx.exists():
        write_onnx(graph, onnx)
    if name == "int8":
        write_int8(onnx, calibration(), folder / FILES[name])
