"""Peak memory of a process that answers with one format: ``python -m models.exports.footprint FORMAT FOLDER CLIPS``.

FOLDER holds the program, or for ``torch`` the saved model; CLIPS is a file of safetensors with ``clip_BCTHW``.
"""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from models.exports.formats import read_program
from models.exports.program import Answering, Program
from models.saved import load_model
from models.spec import AnyFormat

CLIPS = "clip_BCTHW"
_STATUS = Path("/proc/self/status")


def peak_memory_mb(name: AnyFormat, folder: Path, clips: Path) -> float | None:
    """Start such a process, libraries included, on one thread; None where the system does not say (not Linux).

    Raises:
        RuntimeError: It ends without an answer.
    """
    command = [sys.executable, "-m", __name__, name, str(folder.absolute()), str(clips.absolute())]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a process of its own that answers with {name} ends with: {done.stderr.strip()[-300:]}")
    return float(done.stdout) if done.stdout.strip() else None


def main(name: AnyFormat, folder: Path, clips: Path) -> None:
    """Answer once and print the peak in MB."""
    torch.set_num_threads(1)
    program: Program = Answering(load_model(folder)[0]) if name == "torch" else read_program(name, folder)
    with torch.inference_mode():
        program(load_file(clips)[CLIPS])
    if _STATUS.exists():  # getrusage would tell of the process that started this one as well
        peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        print(round(int(peak.split()[1]) * 1024 / 1e6, 1))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))  # type: ignore[arg-type]
