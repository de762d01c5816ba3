"""The file of each format in a model's folder."""

from models.spec import Format

FILES: dict[Format, str] = {"pt2": "model.pt2", "onnx": "model.onnx", "int8": "model.int8.onnx"}
