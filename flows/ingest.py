"""New video into the dataset, without a round. The deployment `incoming` runs this flow."""

import logging

from prefect import flow

from flows.steps import ingest as bring_in
from flows.steps import keep_data
from tasks.ingest import IngestSummary
from tasks.settings import settings
from tasks.workspace import RoundAtWorkError, round_workspace

logger = logging.getLogger(__name__)


@flow(name="ingest")
def ingest(source: str | None = None) -> IngestSummary | None:
    """Ingest ``source`` (default: what VIDEOLOOP_SOURCE names); the next round starts from what the dataset is then."""
    where = source or settings().source
    if not where:
        logger.info("VIDEOLOOP_SOURCE names no source: there is nothing to look at")
        return None
    try:
        with round_workspace(where, kind="ingest") as work:
            summary = bring_in(work).value
            keep_data(work)
            return summary
    except RoundAtWorkError as at_work:
        logger.info("%s; a round brings in new video itself", at_work)
        return None
