"""Weights of a registered model to start from: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

A version is the same for ever. An alias is looked up when a stage runs, and DVC does not see it move: name a version
where the result must not depend on the day.
"""

import logging
import re
from typing import TYPE_CHECKING

from models.errors import UserError
from models.spec import ModelParams

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

_REGISTERED = "models:/"
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")


def with_local_weights(model: ModelParams) -> ModelParams:
    """``model`` with the path of the registered weights that it names; any other as it is.

    Raises:
        UserError: The address is wrong, there is no such version, or its weights are not what was registered.
    """
    if not model.weights.startswith(_REGISTERED):
        return model
    from models.saved import WEIGHTS
    from tasks.registry.client import find_version, registry
    from tasks.registry.names import MODEL_FOLDER
    from tasks.registry.trust import verified_files

    address = _ADDRESS.fullmatch(model.weights)
    if address is None:
        raise UserError(
            f"params.yaml: model.weights: {model.weights} names no registered model; write models:/NAME@ALIAS or "
            "models:/NAME/VERSION"
        )
    client = registry()
    version = find_version(client, address["name"], _number(client, address))
    weights = f"{MODEL_FOLDER}/{WEIGHTS}"
    path = verified_files(client, version, (weights,)) / weights
    logger.info("the backbone starts from version %s of %s", version.version, version.name)
    return model.model_copy(update={"weights": str(path)})


def _number(client: "MlflowClient", address: re.Match[str]) -> int:
    from tasks.registry.client import version_with_alias

    if address["version"]:
        return int(address["version"])
    number = version_with_alias(client, address["name"], address["alias"])
    if number is None:
        raise UserError(
            f"params.yaml: model.weights: no version of {address['name']} has the alias {address['alias']!r}; give it "
            "to one in MLflow, or name a version"
        )
    return number
