"""A registry of one's own for a test, without a server, and versions in it that cost nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.decisions import record
from tasks.registry.client import registry
from tasks.registry.names import CHECKSUMS, KEY, MODEL_FOLDER
from tasks.registry.trust import registration_key, write_checksums
from tasks.settings import settings
from tests.support.databases import put_mlflow


@contextmanager
def own_home(home: Path, tracking_uri: str | None = None) -> Iterator[Path]:
    """Point settings, decision log and MLflow at ``home``."""
    if not tracking_uri:
        put_mlflow(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOLOOP_HOME", str(home))
        patch.delenv("VIDEOLOOP_DATABASE_URL", raising=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if tracking_uri:
            patch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
        settings.cache_clear()
        try:
            yield home
        finally:
            settings.cache_clear()


def add_version(folder: Path, name: str = "actions", files: dict[str, str] | None = None) -> int:
    """Register a version whose artifacts are ``files``; they are no model, and nothing loads them."""
    client = registry()
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    folder.mkdir(parents=True)
    for path, content in (files or {f"{MODEL_FOLDER}/weights.safetensors": "w", "code/x.py": "pass"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    digest = write_checksums(folder)
    tags = {CHECKSUMS: digest, KEY: json.dumps(str(folder))}
    version = client.create_model_version(name, str(folder), tags=tags)
    record("register", name, "", "", {"checksums_sha256": digest}, key=registration_key(version))
    return int(version.version)
