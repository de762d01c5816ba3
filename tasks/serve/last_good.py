"""What answered last, for a start while the registry is away or its champion is refused.

Kept as ``home/serve/NAME.json``. The files are in the cache of checked downloads and are checked again before use,
against the decision log too, so this file can point at nothing that was not registered.
"""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from models.files import replacing
from tasks.registry.names import CHECKSUMS

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)


class LastGood:
    """The version of ``name`` that answered last.

    Attributes:
        tried: Whether it was tried since the start.
    """

    def __init__(self, home: Path, name: str) -> None:
        self._path = home / "serve" / f"{quote(name, safe='')}.json"
        self._name = name
        self.tried = False

    def remember(self, version: "ModelVersion") -> None:
        """``version`` answers now. A full disk is no reason not to serve it."""
        content = {"version": version.version, "source": version.source, "checksums": version.tags.get(CHECKSUMS)}
        try:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        except OSError as error:
            logger.warning("%s: version %s is not remembered: %s", self._name, version.version, error)

    def remembered(self) -> int | None:
        """Its number."""
        content = self._content()
        return int(content["version"]) if content else None

    def version(self) -> "ModelVersion | None":
        """The version as the registry once gave it."""
        from mlflow.entities.model_registry import ModelVersion, ModelVersionTag

        if (content := self._content()) is None:
            return None
        tags = [ModelVersionTag(CHECKSUMS, content["checksums"])]  # type: ignore[no-untyped-call]
        return ModelVersion(self._name, content["version"], 0, source=content["source"], tags=tags)

    def _content(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return {"version": str(int(content["version"])), **{key: str(content[key]) for key in _TEXTS}}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s: this says not what answered last (%s)", self._path, error)
            return None


_TEXTS = ("source", "checksums")
