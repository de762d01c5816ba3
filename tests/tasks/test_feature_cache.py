import os
from pathlib import Path

import pytest

from tasks.feature_cache import feature_cache
from tasks.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDEOLOOP_HOME", str(tmp_path))
    monkeypatch.setenv("VIDEOLOOP_FEATURE_CACHE_GB", "0.000002")
    settings.cache_clear()
    return tmp_path


def test_the_files_used_last_stay_within_what_is_allowed(home: Path) -> None:
    folder = home / "features"
    folder.mkdir()
    for age, name in enumerate(("newest", "middle", "oldest")):
        file = folder / f"{name}.safetensors"
        file.write_bytes(bytes(900))
        os.utime(file, (1000 - age, 1000 - age))
        (folder / f"{name}.safetensors.lock").touch()
    assert feature_cache() == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "middle.safetensors", "middle.safetensors.lock", "newest.safetensors", "newest.safetensors.lock",
    ]  # fmt: skip


def test_before_there_is_any(home: Path) -> None:
    assert feature_cache() == home / "features"
