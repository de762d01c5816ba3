"""A filter of system calls (seccomp, Linux): no socket, no program, no other process, whoever is in control here.

Needs no privilege, and cannot be taken off again. What is not named below goes on as before: decoders are large, and a
list of all that they may call would break with the next C library.
"""

import ctypes
import os
import platform
import struct

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RETURN_ALLOW = 0x7FFF0000
_RETURN_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD = 0x00010000
# Above it lies a second table of the same calls (x32), which a filter of the first would miss.
_LAST_CALL = 0x3FFFFFFF

_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16

# By machine: what the kernel calls it, and its numbers of the calls (asm/unistd.h).
_MACHINES: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "bind": 49, "listen": 50,
            "socketpair": 53, "accept4": 288, "sendmmsg": 307,
            "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "clone": 56, "clone3": 435,
            "kill": 62, "tkill": 200, "tgkill": 234, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
            "prlimit64": 302, "pidfd_open": 434, "pidfd_getfd": 438, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
            "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
            "open_by_handle_at": 304, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "add_key": 248,
            "request_key": 249, "keyctl": 250, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "connect": 203, "accept": 202, "sendto": 206, "sendmsg": 211, "bind": 200, "listen": 201,
            "socketpair": 199, "accept4": 242, "sendmmsg": 269,
            "execve": 221, "execveat": 281, "clone": 220, "clone3": 435,
            "kill": 129, "tkill": 130, "tgkill": 131, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
            "prlimit64": 261, "pidfd_open": 434, "pidfd_getfd": 438, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
            "unshare": 97, "setns": 268, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51,
            "open_by_handle_at": 265, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "add_key": 217,
            "request_key": 218, "keyctl": 219, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        },
    ),
}  # fmt: skip
_ON_ITSELF = ("kill", "tgkill")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def filter_calls() -> bool:
    """Refuse the calls named above to this process and its threads for good; whether that holds."""
    if (machine := _MACHINES.get(platform.machine())) is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    code = ctypes.create_string_buffer(_filter(*machine))
    program = _Program((len(code) - 1) // 8, ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(architecture: int, numbers: dict[str, int]) -> bytes:
    refuse, missing = _step(_RETURN, _RETURN_ERRNO | _EPERM), _step(_RETURN, _RETURN_ERRNO | _ENOSYS)
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, if_true=1),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NUMBER),
        _step(_GREATER, _LAST_CALL, if_false=1),
        missing,
    ]
    for name, number in numbers.items():
        if name == "clone3":  # its flags lie in memory, where a filter cannot look; the C library then takes clone
            answer = [missing]
        elif name == "clone":
            answer = [_step(_LOAD, _FIRST_ARGUMENT), _step(_ANY_BIT, _CLONE_THREAD, if_true=1), refuse, _ALLOW]
        elif name in _ON_ITSELF:
            answer = [_step(_LOAD, _FIRST_ARGUMENT), _step(_EQUAL, os.getpid(), if_true=1), refuse, _ALLOW]
        elif name == "prlimit64":  # of process 0, which is the caller
            answer = [_step(_LOAD, _FIRST_ARGUMENT), _step(_EQUAL, 0, if_true=1), refuse, _ALLOW]
        else:
            answer = [refuse]
        steps += [_step(_EQUAL, number, if_false=len(answer)), *answer]
    return b"".join([*steps, _ALLOW])


def _step(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


_ALLOW = _step(_RETURN, _RETURN_ALLOW)
