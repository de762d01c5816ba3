"""Secrets that nobody has to invent: made once, kept in the home, readable by its owner alone."""

import base64
import os
import secrets
import tempfile
from pathlib import Path

from tasks.settings import Settings


def kept_secret(config: Settings, name: str) -> str:
    """The secret ``name`` of this home: 32 random bytes in URL-safe base64, made on the first call.

    Of processes that ask first at the same time, all get the same.
    """
    path = config.home / "secrets" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    return path.read_text(encoding="ascii").strip()


def _make(path: Path) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, never over a secret that another process has made
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
