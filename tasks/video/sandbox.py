"""What a decoding process gives up before it touches a file."""

import ctypes
import os
import resource
import sys

_MEMORY_BYTES = 4 << 30
_OPEN_FILES = 64
_NEW_USER = 0x10000000
_NEW_NETWORK = 0x40000000


def confine() -> None:
    """Limit this process: memory, no file written, no core dump, and no network where the kernel allows it.

    The time limit is the parent's, which can also see a process that sleeps.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if sys.platform.startswith("linux"):
        _leave_network()


def _leave_network() -> None:
    # An empty network namespace; needs a user namespace when unprivileged, which some hosts forbid.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0 and os.geteuid() != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)
