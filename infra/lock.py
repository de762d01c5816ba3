"""Write requirements.lock and requirements-test.lock anew: ``make lock`` (about ten minutes; it resolves).

Two environments are made from pyproject.toml in a temporary folder, without and with the test extras; what is in them
then is the lock. Torch is pinned by what is installed now or asked for in ``TORCH`` (default: the version locked
today), because a bare ``torch`` resolves to the newest CUDA build.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEADER = "# Made by `make lock` from pyproject.toml: do not edit. Why: docs/decisions/0002-lock.md\n"
_OURS = {"videoloop", "pip", "setuptools", "wheel"}


def main() -> None:
    """Resolve both sets and write both files."""
    torch = os.environ.get("TORCH") or _locked_torch()
    with tempfile.TemporaryDirectory() as folder:
        python = _environment(Path(folder))
        _pip(python, "install", f"torch=={torch}", str(ROOT))
        runtime = _frozen(python)
        _pip(python, "install", f"torch=={torch}", f"{ROOT}[test]")
        everything = _frozen(python)
    (ROOT / "requirements.lock").write_text(_HEADER + "".join(f"{line}\n" for line in runtime))
    extra = [line for line in everything if line not in runtime]
    (ROOT / "requirements-test.lock").write_text(
        _HEADER + "--constraint requirements.lock\n" + "".join(f"{line}\n" for line in extra)
    )


def _locked_torch() -> str:
    found = re.search(r"^torch==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    if not found:
        raise SystemExit("requirements.lock: no torch in it; name a version: TORCH=2.13.0 make lock")
    return found.group(1)


def _environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "--quiet", *arguments], check=True)


def _frozen(python: Path) -> list[str]:
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    # `+cpu` names one machine's build of torch; the public version fits every machine.
    pins = (re.sub(r"\+\w+$", "", line) for line in listed.splitlines() if re.match(r"^[\w.\-]+==", line))
    return sorted((pin for pin in pins if pin.split("==")[0].lower() not in _OURS), key=str.lower)


if __name__ == "__main__":
    main()
