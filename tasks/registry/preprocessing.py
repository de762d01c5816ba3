"""How video becomes what a model takes, as a file that travels with the model."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import UserError
from tasks.video.clips import Recipe

_FORMAT = 1


@dataclass(frozen=True)
class Preprocessing:
    """How a video becomes what the model takes.

    Attributes:
        recipe: How training data was decoded.
        window_s: Usual duration of a training clip; a longer video is cut into windows of that length.
    """

    recipe: Recipe
    window_s: float

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Preprocessing":
        """Read what :meth:`write` wrote.

        Raises:
            UserError: It is something else.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return cls(Recipe(**content["recipe"]), float(content["window_s"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: this is no preprocessing of format {_FORMAT} ({error})") from None
