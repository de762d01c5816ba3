"""A real PostgreSQL for tests: a new cluster in a temporary folder, reached by a socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres() -> Iterator[str]:
    """Start PostgreSQL and give its SQLAlchemy address; skip the test where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # A short path: a socket's name may have at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    account = _account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=50"
    control = [binaries / "pg_ctl", "-D", folder / "data", "-w"]
    try:
        _run([binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N"], folder)
        _run([*control, "-l", folder / "log", "-o", options, "start"], folder)
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if packaged:
        return packaged[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _account() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then it runs as its package's user."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _run(command: list[str | Path], folder: Path) -> None:
    account = _account()
    with (folder / "command.log").open("ab") as log:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=120,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
