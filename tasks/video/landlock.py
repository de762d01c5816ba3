"""Which files this process may open (Landlock, Linux 5.13 or newer): those of Python, and none to write.

Needs no privilege, and cannot be taken off again. Files that are open already, such as the video, stay open.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same number on every machine
_GET_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
# How many rights to files each version of the interface knows.
_NUM_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_NUM_RIGHTS_NOW = 16
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store")


def allow_only_libraries() -> bool:
    """Let this process open only what Python may have to import yet; whether that holds."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(_GET_VERSION))
    if version < 1:
        return False
    handled = struct.pack("=Q", (1 << _NUM_RIGHTS.get(version, _NUM_RIGHTS_NOW)) - 1)
    rules = libc.syscall(_CREATE, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint(0))
    if rules < 0:
        return False
    try:
        for folder in dict.fromkeys((sys.prefix, sys.base_prefix, *_LIBRARIES)):
            if Path(folder).is_dir():
                _allow(libc, rules, folder)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(_RESTRICT, rules, ctypes.c_uint(0)) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, folder: str) -> None:
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _READ_FILE | _READ_FOLDER, descriptor)
        libc.syscall(_ADD, rules, ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(descriptor)
