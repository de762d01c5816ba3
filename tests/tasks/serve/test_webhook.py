import logging

import pytest

from tasks.registry.client import registry
from tasks.serve.webhook import Subscription, subscribe
from tests.support.registries import own_home

URL = "https://serve.example/hooks/mlflow"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def client(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")  # no name is looked up
    with own_home(place):
        client = registry()
        yield client
        for webhook in client.list_webhooks():
            client.delete_webhook(webhook.webhook_id)


def test_there_is_one_webhook_for_each_address(client):
    for _ in range(3):
        subscribe(client, URL, "secret")
    subscribe(client, "https://other.example/hooks/mlflow", "secret")
    assert sorted(webhook.url for webhook in client.list_webhooks()) == ["https://other.example/hooks/mlflow", URL]


def test_doubles_go_and_one_that_was_switched_off_is_on_again(client):
    for _ in range(2):
        client.create_webhook("by-hand", URL, ["registered_model.created"], status="DISABLED")
    subscribe(client, URL, "secret")
    (webhook,) = client.list_webhooks()
    assert str(webhook.status) == "ACTIVE"
    assert {str(event) for event in webhook.events} == {"model_version_alias.created", "model_version_alias.deleted"}


def test_a_registry_that_wants_no_webhook_is_named_once(client, caplog):
    subscription = Subscription(client, "http://serve.example/hooks/mlflow", "secret")  # no TLS
    with caplog.at_level(logging.WARNING, "tasks"):
        for _ in range(2):
            subscription.keep()
            subscription._due_s = 0.0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "found by polling" in caplog.text


def test_it_is_looked_after_now_and_then(client, monkeypatch):
    subscription = Subscription(client, URL, "secret")
    subscription.keep()
    client.delete_webhook(client.list_webhooks()[0].webhook_id)
    subscription.keep()
    assert not list(client.list_webhooks())
    subscription._due_s = 0.0
    subscription.keep()
    assert len(client.list_webhooks()) == 1
