"""Versions that a parameter names: ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``."""

import re
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks.registry.client import find_version, version_with_alias

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")


def addressed_version(client: "MlflowClient", address: str, field: str) -> "ModelVersion":
    """The version at ``address``, which ``field`` of params.yaml names.

    Raises:
        UserError: The address is wrong, or there is no such version.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UserError(
            f"params.yaml: {field}: {address} names no registered model; write models:/NAME@ALIAS or "
            "models:/NAME/VERSION"
        )
    name, alias = found["name"], found["alias"]
    number = version_with_alias(client, name, alias) if alias else int(found["version"])
    if number is None:
        raise UserError(
            f"params.yaml: {field}: no version of {name} has the alias {alias!r}; give it to one in MLflow, or name a "
            "version"
        )
    return find_version(client, name, number)
