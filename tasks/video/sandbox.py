"""What a decoding process gives up before it touches a file: ``python -m tasks.video.sandbox`` says what holds here.

Limits of resources hold everywhere. The rest is Linux's, and each part stands by itself where the kernel or a
container's rules forbid another: an empty network namespace, no capabilities, a filter of system calls, and no file to
open.
"""

import ctypes
import json
import os
import resource
import struct
import subprocess
import sys

from tasks.video.landlock import allow_only_libraries
from tasks.video.syscalls import filter_calls

_OPEN_FILES = 64
_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000
_CAPABILITIES_VERSION = 0x20080522


def confine(memory_gb: float) -> dict[str, bool]:
    """Limit this process for good: memory, files, programs, network, other processes.

    The time limit is the parent's, which can also see a process that sleeps.

    Args:
        memory_gb: Address space, in 10^9 bytes.

    Returns:
        Whether each guard of Linux holds, by its name.
    """
    memory_bytes = int(memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if not sys.platform.startswith("linux"):
        return {}
    return {
        "empty network": _leave_network(),
        "no capabilities": _drop_capabilities(),
        "only Python's files": allow_only_libraries(),
        "no sockets, programs or other processes": filter_calls(),
    }


def _leave_network() -> bool:
    # An empty network namespace; needs a user namespace when unprivileged, which some hosts forbid.
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(_NEW_NETWORK) == 0 or (os.geteuid() != 0 and libc.unshare(_NEW_USER | _NEW_NETWORK) == 0)


def _drop_capabilities() -> bool:
    # Of the superuser, and of whoever became one in a user namespace of its own.
    header = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    return bool(ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) == 0)


def guards() -> dict[str, bool]:
    """Whether each guard would hold on this machine, tried in a process of its own."""
    code = "import json, tasks.video.sandbox as sandbox; print(json.dumps(sandbox.confine(memory_gb=4.0)))"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {str(name): bool(holds) for name, holds in json.loads(tried.stdout).items()}


def main() -> None:
    """Print what holds."""
    for name, holds in guards().items():
        print(f"{name:42}{'yes' if holds else 'no: this kernel, or the container around it, forbids it'}")


if __name__ == "__main__":
    main()
