"""A champion that is not served, and why; in the decision log once."""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime

from models.errors import UserError
from tasks.decisions import record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """What was refused.

    Attributes:
        version: Its number; None when there is no champion.
        identity: Of its files.
        reason: In a sentence.
        at: When it was first refused.
        recorded: Whether the decision log has it.
    """

    version: int | None
    identity: str
    reason: str
    at: datetime
    recorded: bool = False

    def recorded_for(self, name: str, kept: int | None) -> "Refusal":
        """The same, in the decision log; a log that cannot be reached is tried again with the next look."""
        if self.recorded:
            return self
        refused = f"version {self.version} is not served" if self.version else "there is no champion to serve"
        what = f"{refused}; {f'version {kept} keeps answering' if kept else 'nothing answers'}"
        evidence = {"version": self.version, "kept": kept, "identity": self.identity}
        # The reason is part of the event: what was out of reach first and damaged later is said twice.
        digest = hashlib.sha256(f"{self.identity}:{kept}:{self.reason}".encode()).hexdigest()[:16]
        try:
            record("serve", name, what, self.reason, evidence, key=f"serve:{name}:{self.version}:{digest}")
        except UserError as error:
            logger.warning("%s: the refusal is not in the decision log yet: %s", name, error)
            return self
        return replace(self, recorded=True)
