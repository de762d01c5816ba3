"""Whether a process that was started before is still there, and no later one under its number."""

import psutil


def is_alive(pid: int, started: float) -> bool:
    """Whether the process ``pid`` that was created at ``started``, as psutil says, still runs."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
