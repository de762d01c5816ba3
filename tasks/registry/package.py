"""The MLflow model as a folder: weights, exported programs, preprocessing, the code that serves, checksums."""

import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.backbones.family import load_family
from models.clips.manifest import read_manifest
from models.errors import UserError
from models.exports.files import FILES
from models.saved import CARD, CLIPS, WEIGHTS, card_is_multi_label, load_model, read_card
from models.spec import Format
from tasks import layout
from tasks.exports.outcome import read_outcomes
from tasks.params.whole import Params
from tasks.registry.choose import answer_to_example
from tasks.registry.classifier import VideoClassifier
from tasks.registry.names import EXAMPLE, EXAMPLE_ANSWER, FORMATS, MODEL_FOLDER, PREPROCESSING, REFERENCE
from tasks.registry.preprocessing import Preprocessing
from tasks.registry.trust import write_checksums
from tasks.video.clips import Recipe

if TYPE_CHECKING:
    from mlflow.models.model import Model
    from mlflow.models.signature import ModelSignature

_CODE = (
    "tasks/__init__.py",
    "tasks/process.py",
    "tasks/settings.py",
    "tasks/video/*.py",
    "tasks/registry/__init__.py",
    "tasks/registry/names.py",
    "tasks/registry/classifier.py",
    "tasks/registry/preprocessing.py",
    "models/**/*.py",
)
_SERVED_MODEL = "tasks/registry/served_model.py"
_REQUIREMENTS = (
    "mlflow", "torch", "safetensors", "av", "simplejpeg", "numpy", "pandas", "pyarrow", "pydantic",
    "pydantic-settings", "tqdm",
)  # fmt: skip
_REQUIREMENTS_OF_FAMILY = {
    "efficientnet_lite0": ("efficientnet-lite-pytorch",),
    **dict.fromkeys(("c2d", "csn", "i3d", "mvit", "r2plus1d", "slow", "slowfast", "x3d"), ("pytorchvideo",)),
}
_USUAL_DURATION_S = 2.0


def write_package(workspace: Path, params: Params, mlflow_model: "Model", folder: Path) -> str:
    """Write the model of ``workspace`` as an MLflow model into ``folder``.

    Args:
        workspace: Where ``results/`` and ``data/`` are, and the code that travels.
        params: How the data was decoded.
        mlflow_model: Identity that MLflow gave.
        folder: Must not exist.

    Returns:
        The sha256 of ``checksums.json``, which vouches for all files.

    Raises:
        UserError: The model, the manifest, or a program that was accepted are missing or damaged.
    """
    with tempfile.TemporaryDirectory() as temporary:
        model_folder, code = Path(temporary) / Path(MODEL_FOLDER).name, Path(temporary) / "code"
        family = _write_model(workspace, params, model_folder)
        _copy_code(workspace, code)
        with _mlflow_hushed():
            import mlflow.pyfunc

            mlflow.pyfunc.save_model(
                folder,
                python_model=str(workspace / _SERVED_MODEL),
                artifacts={"model": str(model_folder)},
                code_paths=[str(code / "models"), str(code / "tasks")],
                signature=_signature(multi_label=card_is_multi_label(read_card(model_folder))),
                input_example=pd.DataFrame({"video": [_example_video()]}),
                pip_requirements=_requirements(family),
                mlflow_model=mlflow_model,
            )
    for cached in folder.rglob("__pycache__"):
        shutil.rmtree(cached)
    return write_checksums(folder)


@contextmanager
def _mlflow_hushed() -> Iterator[None]:
    """Without MLflow's warnings about itself: of its own type hints, and of what it asks pandas for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\..*")
        warnings.filterwarnings("ignore", "Operation with range is deprecated", module=r"mlflow\..*")
        yield


def _write_model(workspace: Path, params: Params, target: Path) -> str:
    source = workspace / layout.MODEL
    _, card = load_model(source)  # checks the weights against the card
    target.mkdir()
    for name in (WEIGHTS, CARD, CLIPS):
        shutil.copyfile(source / name, target / name)
    preprocessing(workspace, params).write(target / PREPROCESSING)
    formats = _copy_programs(workspace, target)
    _write_example(target, formats)
    if (workspace / layout.REFERENCE).exists():  # a version without one is served, and not watched
        shutil.copyfile(workspace / layout.REFERENCE, target / REFERENCE)
    family: str = card["model"]["family"]
    return family


def _copy_programs(workspace: Path, target: Path) -> list[Format]:
    """The programs that may answer in the model's place; a version without any is answered for by the model itself."""
    if not (workspace / layout.FORMATS).exists():
        return []
    outcomes = read_outcomes(workspace / layout.FORMATS)
    shutil.copyfile(workspace / layout.FORMATS, target / FORMATS)
    accepted = [name for name in FILES if name in outcomes and outcomes[name].accepted]
    for name in accepted:
        source = workspace / layout.PROGRAMS / FILES[name]
        if not source.is_file():
            raise UserError(f"{source}: this program was accepted and is missing; run `dvc checkout`")
        shutil.copyfile(source, target / FILES[name])
    return accepted


def _write_example(folder: Path, formats: Sequence[Format]) -> None:
    """A video and the answers to it: a service that gives another one elsewhere is broken."""
    (folder / EXAMPLE).write_bytes(_example_video())
    answer = answer_to_example(VideoClassifier.load(folder), folder)
    by_format = {
        name: answer_to_example(VideoClassifier.load(folder, format=name), folder).probabilities for name in formats
    }
    content = {"probabilities": answer.probabilities, "error": answer.error, "by_format": by_format}
    (folder / EXAMPLE_ANSWER).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def preprocessing(workspace: Path, params: Params) -> Preprocessing:
    """How the dataset of ``workspace`` was decoded, and how long its training clips usually are."""
    recipe = Recipe.of(params.ingest)
    manifest = read_manifest(workspace / layout.MANIFEST)
    clips = manifest[manifest["split"] == "train"]
    durations_s = (clips["end_s"] - clips["start_s"]).to_numpy()
    return Preprocessing(recipe, float(np.median(durations_s)) if len(durations_s) else _USUAL_DURATION_S)


def _copy_code(workspace: Path, target: Path) -> None:
    for pattern in _CODE:
        for source in sorted(workspace.glob(pattern)):
            copy = target / source.relative_to(workspace)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def _signature(*, multi_label: bool) -> "ModelSignature":
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec
    from mlflow.types.schema import Map

    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.binary, "video", required=False),
        ColSpec(DataType.string, "path", required=False),
    ]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.string, "label", required=False),
        ColSpec(DataType.double, "probability", required=False),
        ColSpec(Map(DataType.double), "probabilities"),
        ColSpec(DataType.string, "error", required=False),
        *([ColSpec(Map(DataType.double), "labels")] if multi_label else []),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _example_video() -> bytes:
    """Two seconds of a square that wanders over a ramp: small, and a real file."""
    import av

    side, num_frames, rate = 64, 24, 12
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for number in range(num_frames):
            picture = np.repeat(np.linspace(40, 120, side, dtype=np.uint8)[None, :, None], side, 0).repeat(3, 2)
            picture[24:40, number : number + 16] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def _requirements(family: str) -> list[str]:
    """What serving needs, pinned to what runs here; a build's local tag (``+cpu``) names no package elsewhere."""
    extra = load_family(family).package
    names = (*_REQUIREMENTS, *_REQUIREMENTS_OF_FAMILY.get(family, ()), *([extra] if extra else []))
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in names]
