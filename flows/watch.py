"""One watch over incoming video. ``videoloop watch`` and the hourly deployment run this flow."""

from datetime import datetime

from prefect import flow

from flows.watch_steps import announce, look, show
from tasks.watch.watch import Watched


@flow(name="watch")
def watch(source: str | None = None, now: datetime | None = None, labelled: bool = False) -> Watched | None:
    """Look at incoming video (default: what VIDEOLOOP_INCOMING names), decide, show it; a retraining is announced."""
    found = look(source, now, labelled)
    if found is not None:
        announce(found)
        show(found)
    return found
