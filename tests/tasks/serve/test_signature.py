import pytest

from tasks.serve.problems import Problem
from tasks.serve.signature import (
    DELIVERY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_S,
    Deliveries,
    signature,
)

NOW = 1_800_000_000
BODY = '{"entity": "model_version_alias", "name": "ünïcode"}'.encode()


def headers(delivery_id: str = "one", at: int | str = NOW, secret: str = "secret", body: bytes = BODY):
    return {
        DELIVERY_HEADER: delivery_id,
        TIMESTAMP_HEADER: str(at),
        SIGNATURE_HEADER: signature(secret, delivery_id, str(at), body),
    }


@pytest.fixture
def deliveries():
    return Deliveries("secret", clock=lambda: NOW)


def refused(deliveries, given, body=BODY) -> str:
    with pytest.raises(Problem) as problem:
        deliveries.take(given, body)
    return problem.value.code


def test_mlflow_signs_as_we_check(deliveries):
    from mlflow.webhooks.delivery import _generate_hmac_signature

    signed = _generate_hmac_signature("secret", "one", str(NOW), BODY.decode())
    deliveries.take(headers() | {SIGNATURE_HEADER: signed}, BODY)


@pytest.mark.parametrize("signed", ["", "v1,", "v1,AAAA", "v2,AAAA", "ünsigned"])
def test_another_signature_is_refused(deliveries, signed):
    assert refused(deliveries, headers() | {SIGNATURE_HEADER: signed}) == "bad_signature"


def test_a_signature_is_for_its_secret_body_time_and_delivery_alone(deliveries):
    assert refused(deliveries, headers(secret="other")) == "bad_signature"
    assert refused(deliveries, headers(), BODY + b" ") == "bad_signature"
    assert refused(deliveries, headers() | {TIMESTAMP_HEADER: str(NOW + 1)}) == "bad_signature"
    assert refused(deliveries, headers() | {DELIVERY_HEADER: "two"}) == "bad_signature"
    assert refused(deliveries, {}) == "bad_signature"


@pytest.mark.parametrize("at", [NOW - TOLERANCE_S - 1, NOW + TOLERANCE_S + 1, "", "yesterday", "1e9"])
def test_a_delivery_of_another_time_is_refused_though_it_is_signed(deliveries, at):
    assert refused(deliveries, headers(at=at)) == "stale_delivery"


def test_a_replay_is_refused_for_as_long_as_its_time_is_good():
    now = [NOW]
    deliveries = Deliveries("secret", clock=lambda: now[0])
    early = headers(at=NOW + TOLERANCE_S)
    deliveries.take(early, BODY)
    for now[0] in (NOW, NOW + TOLERANCE_S, NOW + 2 * TOLERANCE_S):
        assert refused(deliveries, early) == "replayed_delivery"
    now[0] = NOW + 2 * TOLERANCE_S + 1
    assert refused(deliveries, early) == "stale_delivery"


def test_what_was_refused_does_not_fill_the_memory(deliveries):
    for number in range(10):
        refused(deliveries, headers(str(number), secret="guess"))
        refused(deliveries, headers(str(number), at=NOW - 10 * TOLERANCE_S))
    assert not deliveries._taken_at
