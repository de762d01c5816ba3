"""Whether a call is from our MLflow server, from now, and the first of its kind.

MLflow signs ``delivery_id.timestamp.body`` with HMAC-SHA256 (the Standard Webhooks' scheme).
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from tasks.serve.problems import Problem

SIGNATURE_HEADER = "X-MLflow-Signature"
DELIVERY_HEADER = "X-MLflow-Delivery-Id"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
TOLERANCE_S = 300


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """What MLflow writes into the header."""
    content = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Deliveries:
    """Deliveries that were taken. Only a signed one is remembered, so that nobody else can fill the memory."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._taken_at: dict[str, float] = {}

    def take(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check a delivery and remember it.

        Raises:
            Problem: Its signature is wrong, it is too old or from the future, or it came before.
        """
        delivery_id, timestamp = headers.get(DELIVERY_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
        expected = signature(self._secret, delivery_id, timestamp, body)
        if not hmac.compare_digest(headers.get(SIGNATURE_HEADER, "").encode(), expected.encode()):
            raise Problem(HTTPStatus.UNAUTHORIZED, "bad_signature", "the signature does not fit the delivery")
        now = self._clock()
        if not (timestamp.isdigit() and abs(now - int(timestamp)) <= TOLERANCE_S):
            sentence = f"the delivery's time is more than {TOLERANCE_S} s from the time here"
            raise Problem(HTTPStatus.UNAUTHORIZED, "stale_delivery", sentence)
        # A time stamp may lie in the future by the tolerance, so a delivery stays good for twice as long.
        self._taken_at = {each: at for each, at in self._taken_at.items() if now - at <= 2 * TOLERANCE_S}
        if delivery_id in self._taken_at:
            raise Problem(HTTPStatus.CONFLICT, "replayed_delivery", "this delivery was taken before")
        self._taken_at[delivery_id] = now
