"""What publishers say of their networks' size and cost, for the flavours that are built as published."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """Of a network with its classifier.

    Attributes:
        parameters_m: Millions of parameters, where it says so.
        multiply_adds_g: Billions of multiply-adds of one view.
        size: Side of that view in pixels: some networks are tested on larger frames than they are trained on.
        num_classes: Of the classifier.
        source: Where it says so.
        tolerance: By which share a count of ours may differ.
    """

    parameters_m: float | None
    multiply_adds_g: float
    size: int = 256
    num_classes: int = 400
    source: str = "pytorchvideo's model zoo"
    tolerance: float = 0.02


_X3D = "PySlowFast's model zoo"
"""pytorchvideo's own figures for X3D, on larger frames, count more than convolutions and products of matrices."""

FIGURES: dict[tuple[str, str], Figure] = {
    ("c2d", "8x8"): Figure(24.33, 25.89),
    ("c3d", "16x112"): Figure(78.41, 38.62, 112, 101, "MMAction2's model zoo"),
    ("csn", "32x2"): Figure(22.21, 75.62, tolerance=0.03),
    ("i3d", "8x8"): Figure(28.04, 37.53),
    ("i3d_inception", "64x224"): Figure(None, 108, 224, source="arXiv:1812.03982, table 2", tolerance=0.03),
    ("r2plus1d", "16x4"): Figure(28.11, 76.45),
    ("slow", "4x16"): Figure(32.45, 27.55),
    ("slow", "8x8"): Figure(32.45, 54.52),
    ("slowfast", "r50-4x16"): Figure(34.48, 36.69),
    ("slowfast", "r50-8x8"): Figure(34.57, 65.71),
    ("slowfast", "r101-8x8"): Figure(62.83, 127.20),
    ("slowfast", "r101-16x8"): Figure(53.77, 215.61),
    ("x3d", "xs"): Figure(3.8, 0.60, 160, source=_X3D),
    ("x3d", "s"): Figure(3.8, 1.96, 160, source=_X3D),
    ("x3d", "m"): Figure(3.8, 4.73, 224, source=_X3D),
    ("x3d", "l"): Figure(6.2, 18.37, 312, source=_X3D),
}
