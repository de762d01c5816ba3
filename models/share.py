"""Which part of every batch one of several processes works on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """One process of several that divide each batch among them.

    Attributes:
        index: Which one, from 0.
        of: How many there are.
    """

    index: int = 0
    of: int = 1

    def rows(self, num_clips: int) -> slice:
        """Its rows of a batch of ``num_clips``: in a row, and as many as the others have, or one more or less."""
        return slice(num_clips * self.index // self.of, num_clips * (self.index + 1) // self.of)


ALONE = Share()
