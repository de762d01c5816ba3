"""Memory of a process and those that it starts, while something is measured."""

import threading

import psutil


class Memory:
    """Samples this process and its children ten times a second while it is entered.

    Attributes:
        peak_mb: The largest sum over all of what each holds by itself and its share of what they hold together (Pss).
        worker_mb: The largest of one child.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.worker_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "Memory":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._done.wait(0.1):
            try:
                children = [child.memory_full_info().pss / 1e6 for child in this.children(recursive=True)]
                self.worker_mb = max([self.worker_mb, *children])
                self.peak_mb = max(self.peak_mb, this.memory_full_info().pss / 1e6 + sum(children))
            except psutil.Error:
                continue
