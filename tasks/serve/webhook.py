"""The webhook by which MLflow tells the service of promotions: one for each address, however often it starts."""

import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks.registry.client import reachable

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.webhook import Webhook, WebhookEvent, WebhookEventStr

logger = logging.getLogger(__name__)

PATH = "/hooks/mlflow"
_NAME = "videoloop-serve"
_EVENTS: list["WebhookEventStr | WebhookEvent"] = ["model_version_alias.created", "model_version_alias.deleted"]
_CHECK_EVERY_S = 300.0


class Subscription:
    """Keeps the webhook for ``url`` registered. Without it the service still polls, and is slower to follow."""

    def __init__(self, client: "MlflowClient", url: str, secret: str) -> None:
        self._client = client
        self._url = url
        self._secret = secret
        self._due_s = 0.0
        self._complaint = ""

    def keep(self) -> None:
        """Register the webhook where that is due; a registry that does not want it is named once in the log."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + _CHECK_EVERY_S
        try:
            with reachable():
                subscribe(self._client, self._url, self._secret)
            self._complaint = ""
        except UserError as error:
            if str(error) != self._complaint:
                logger.warning("no webhook at MLflow, so promotions are found by polling: %s", error)
            self._complaint = str(error)


def subscribe(client: "MlflowClient", url: str, secret: str) -> None:
    """Have one active webhook for ``url``, with this secret; others with the same address are removed."""
    ours = [webhook for webhook in _webhooks(client) if webhook.url == url]
    if not ours:
        client.create_webhook(_NAME, url, _EVENTS, "Tells videoloop serve of promotions.", secret, "ACTIVE")
        logger.info("MLflow tells %s of promotions", url)
        return
    kept, *doubles = sorted(ours, key=lambda webhook: webhook.webhook_id)
    # A secret cannot be read back to be compared.
    client.update_webhook(kept.webhook_id, events=_EVENTS, secret=secret, status="ACTIVE")
    for double in doubles:
        client.delete_webhook(double.webhook_id)


def _webhooks(client: "MlflowClient") -> "Iterator[Webhook]":
    token = None
    while True:
        page = client.list_webhooks(page_token=token)
        yield from page
        token = page.token
        if not token:
            return
