"""Features of frozen backbones that jobs share, in a folder of bounded size: a round a day would fill any disk."""

import logging
from pathlib import Path

from tasks.settings import settings

logger = logging.getLogger(__name__)


def feature_cache() -> Path:
    """The folder, in which the files used last are within ``VIDEOLOOP_FEATURE_CACHE_GB``; others are removed.

    A job that reads one of them at this moment has it open, and one that comes later extracts it again.
    """
    config = settings()
    folder, left = config.home / "features", int(config.feature_cache_gb * 1e9)
    files = [(found.stat(), found) for found in folder.glob("*.safetensors")]
    for facts, path in sorted(files, key=lambda file: file[0].st_mtime_ns, reverse=True):
        left -= facts.st_size
        if left < 0:
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            logger.info("%s: removed, since newer features fill VIDEOLOOP_FEATURE_CACHE_GB", path)
    return folder
