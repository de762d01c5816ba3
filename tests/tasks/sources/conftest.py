"""A bucket within this process: boto3's real requests, answered by moto without a network."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from tests.support.s3 import ENVIRONMENT, client_of


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client for a bucket ``films`` with nothing in it."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = client_of(None)
        client.create_bucket(Bucket="films")
        yield client
