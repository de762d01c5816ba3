"""The networks of the package ``transformers``, which is imported when the first of them is built.

Of a network only its layers are used, in the order of its paper: its ``forward`` wraps them in what neither training
nor an exported program needs.
"""

import importlib
from types import ModuleType
from typing import Any

from models.errors import UserError

PACKAGE = "transformers"
"""As imported, and as the extra of pyproject.toml is called."""


def modeling(family: str) -> ModuleType:
    """The module with the layers of ``family``.

    Raises:
        UserError: The package is not installed, or is a release without this module.
    """
    return _imported(family, "modeling")


def configuration(family: str, **sizes: Any) -> Any:
    """A network's configuration.

    Raises:
        UserError: The package is not installed, or is a release without this module.
    """
    module = _imported(family, "configuration")
    (name,) = (name for name in module.__all__ if name.endswith("Config"))
    return getattr(module, name)(**sizes)


def _imported(family: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(f"{PACKAGE}.models.{family}.{kind}_{family}")
    except ImportError as error:
        raise UserError(
            f"params.yaml: model.family: {family} needs the package {PACKAGE} ({error}); install it: "
            f"pip install -e '.[{PACKAGE}]'"
        ) from None
