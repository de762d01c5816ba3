"""Published weights: fetched once, checked, read without running anything in them, mapped to this model's names.

Files lie in the folder that ``VIDEOLOOP_WEIGHTS`` names (default ``~/.cache/videoloop/weights``) under the name that
their publisher gave them. One that a person put there is used as it is. What was read once lies beside them as
safetensors, named by the content of the file that it came from.
"""

import http.client
import os
import pickle
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from models.errors import UserError
from models.file_digest import sha256_of
from models.files import replacing

FOLDER_VARIABLE = "VIDEOLOOP_WEIGHTS"
KINETICS_ZOO = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
"""Where pytorchvideo publishes what it trained on Kinetics-400."""

State: TypeAlias = Mapping[str, Tensor]
Shapes: TypeAlias = Mapping[str, torch.Size]
Convert: TypeAlias = Callable[[State, Shapes], dict[str, Tensor]]
"""From the publisher's tensors, and the shapes of the backbone's, to the backbone's.

What it does not know it passes on: loading is strict and names it."""

_CONTAINERS = ("model_state", "state_dict", "model", "module")
_CHUNK = 1 << 20
_TIMEOUT_S = 30


@dataclass(frozen=True)
class Published:
    """One file of weights.

    Attributes:
        url: Where its publisher keeps it.
        convert: How its tensors become the backbone's.
        sha256: Of the file, or the first digits of it, where the publisher says so; else empty.
        name: Of the file on this machine, where its publisher's name says nothing.
    """

    url: str
    convert: Convert
    sha256: str = ""
    name: str = ""

    def file(self) -> Path:
        """The file, fetched where it is not there yet.

        Raises:
            UserError: It cannot be fetched, or is not the file that was published.
        """
        path = weights_folder() / (self.name or self.url.rpartition("/")[2])
        if not path.is_file():
            _download(self.url, path)
        if self.sha256 and not sha256_of(path).startswith(self.sha256):
            raise UserError(
                f"{path}: this is not the file that {self.url} publishes (its sha256 does not begin with "
                f"{self.sha256}); delete it to have it fetched again"
            )
        return path

    def read(self, file: Path, shapes: Shapes) -> dict[str, Tensor]:
        """The backbone's tensors.

        Args:
            file: As published; ``.safetensors``, or what ``torch.save`` wrote.
            shapes: Of the backbone's state.

        Raises:
            UserError: It cannot be read, or holds more than tensors and plain values.
        """
        return self.convert(_tensors(file), shapes)


def renaming(rules: Sequence[tuple[str, str]] = (), *, ignored: Sequence[str] = ()) -> Convert:
    """A conversion by names alone.

    Args:
        rules: Regular expressions and replacements; the first that matches the start of a name changes it.
        ignored: Names that have no place in a backbone, such as the published classifier's.
    """

    def convert(state: State, _: Shapes) -> dict[str, Tensor]:
        return {_renamed(name, rules): tensor for name, tensor in state.items() if name not in ignored}

    return convert


def weights_folder() -> Path:
    """Where published files are kept."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "videoloop" / "weights"


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        if match := re.match(pattern, name):
            return match.expand(replacement) + name[match.end() :]
    return name


def _download(url: str, path: Path) -> None:
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer,
            replacing(path) as temporary,
            temporary.open("wb") as file,
        ):
            length = int(answer.headers.get("Content-Length", 0)) or None
            with tqdm(desc=path.name, total=length, unit="B", unit_scale=True, leave=False, disable=None) as bar:
                while chunk := answer.read(_CHUNK):
                    bar.update(file.write(chunk))
            if length is not None and file.tell() != length:
                raise http.client.IncompleteRead(b"", length - file.tell())
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise UserError(
            f"params.yaml: model.weights: {url} cannot be fetched ({error}); fetch it where there is a network and "
            f"put it there: {path}"
        ) from None


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return _safetensors(path)
    converted = weights_folder() / f"{sha256_of(path)[:32]}.safetensors"
    if not converted.is_file():
        tensors = _unpacked(_loaded(path), path)
        with replacing(converted) as temporary:
            save_file(tensors, temporary)
    return _safetensors(converted)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: model.weights: this is not a readable safetensors file ({error})") from None


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        problem = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: model.weights: this file is damaged, or holds more than tensors ({problem}); nothing of it was "
            "run: fetch it again, or save its tensors as safetensors where you trust it and give that file's path"
        ) from None


def _unpacked(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in what was saved; training code wraps it in its own record."""
    for container in _CONTAINERS:
        if isinstance(content, dict) and isinstance(content.get(container), dict):
            content = content[container]
    if not isinstance(content, dict) or not any(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: model.weights: there is no state dict in this file")
    # Tied weights share memory, which safetensors refuses.
    return {name: value.clone().contiguous() for name, value in content.items() if isinstance(value, Tensor)}
