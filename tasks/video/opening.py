"""Opens a file for decoding: a regular one of a size that is taken, whatever its name leads to by now."""

import errno
import os
import stat

from tasks.video.clips import Limits, Reason, Refused


def opened(path: str, limits: Limits, *, may_be_link: bool = True) -> int:
    """Open ``path`` for reading; what is checked is what was opened.

    Args:
        path: The file.
        limits: What it may cost.
        may_be_link: Whether a symbolic link is followed.

    Returns:
        The descriptor, which the caller closes.

    Raises:
        Refused: It is no file that can be decoded.
    """
    # Without O_NONBLOCK a named pipe would wait here for whoever writes into it.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if may_be_link else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP and not may_be_link:
            message = "is a symbolic link: put the file itself here, or name it in a table"
            raise Refused(message, Reason.FILE) from None
        cause = (error.strerror or "input/output error").lower()
        raise Refused(f"cannot be read: {cause}", Reason.FILE, lasting=False) from None
    try:
        _check(os.fstat(descriptor), limits)
    except Refused:
        os.close(descriptor)
        raise
    return descriptor


def _check(found: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Refused("is not a regular file", Reason.FILE)
    if found.st_size == 0:
        raise Refused("is empty (0 bytes)", Reason.FILE)
    if found.st_size > limits.max_file_gb * 1e9:
        raise Refused(
            f"has {found.st_size / 1e9:.1f} GB, more than ingest.limits.max_file_gb ({limits.max_file_gb:g})",
            Reason.BUDGET,
        )
