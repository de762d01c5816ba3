"""What need not be checked again: shards of which every clip passed before, under the same rules.

A shard is remembered with a hash of all that the manifest says of its clips, and with what tells that its file changed
since; the rules with a hash of their limits and code. What concerns several clips is never remembered. So an outcome is
what it would be without a memory, but that a shard that passed is not read again: what flips a bit on the disk behind
the file system's back is found by the loader, or with ``validate.incremental: false``.
"""

import hashlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import is_multi_label
from models.files import replacing
from tasks.params.data import ValidateParams

_KEPT = 8
"""Sets of rules of which is remembered what passed them: branches with other limits take turns."""


class Memory:
    """Which shards of a manifest passed before.

    Args:
        folder: Where memories lie, one a set of rules; made if it is missing.
        params: The limits.
        manifest: As ingest wrote it.
        shards: Folder of the shards.

    Attributes:
        passed_N: Clips whose shard passed, as it is, and whose rows are the same.
    """

    def __init__(self, folder: Path, params: ValidateParams, manifest: pd.DataFrame, shards: Path) -> None:
        self._path = folder / f"{_rules(params)}.json"
        self._shard_N = manifest["shard"].astype(object).fillna("")
        self._states = {shard: f"{rows}:{_file(shards / shard)}" for shard, rows in _rows_of_shards(manifest)}
        before = _read(self._path)
        same = {shard for shard, state in self._states.items() if before.get(shard) == state}
        self.passed_N: NDArray[np.bool_] = self._shard_N.isin(same).to_numpy()

    def keep(self, failing: NDArray[np.int64]) -> None:
        """Remember every shard but those of the clips at places ``failing``."""
        bad = set(self._shard_N.iloc[failing])
        good = {shard: state for shard, state in self._states.items() if shard not in bad}
        with replacing(self._path) as temporary:
            temporary.write_text(json.dumps(good), encoding="utf-8")
        newest_first = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in newest_first[_KEPT:]:
            path.unlink(missing_ok=True)


def _rules(params: ValidateParams) -> str:
    """Name of all that decides whether a clip passes, but for the clip."""
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    packages = [version(package) for package in ("great_expectations", "pandas", "pyarrow")]
    return hashlib.sha256(json.dumps([params.model_dump(), code, packages]).encode()).hexdigest()[:32]


def _rows_of_shards(manifest: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Each shard with a hash of its rows, whatever their order in the manifest."""
    lists = {"labels": manifest["labels"].map(str)} if is_multi_label(manifest) else {}  # lists have no hash
    row_N = pd.util.hash_pandas_object(manifest.assign(**lists), index=False).to_numpy()
    shard_N, shards = pd.factorize(manifest["shard"].astype(object).fillna(""))
    order_N = np.lexsort((row_N, shard_N))
    first_S = np.flatnonzero(np.diff(shard_N[order_N], prepend=-1))
    for shard, rows in zip(shards, np.split(row_N[order_N], first_S[1:]), strict=False):  # an empty manifest has none
        yield str(shard), hashlib.sha256(rows.tobytes()).hexdigest()


def _file(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return "missing"
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # checked anew
        return {}
    return content if isinstance(content, dict) else {}
