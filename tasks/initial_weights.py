"""Weights of a registered model to start from: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

A version is the same for ever. An alias is looked up when a stage runs, and DVC does not see it move: name a version
where the result must not depend on the day.
"""

import logging

from models.spec import ModelParams
from tasks.registry.names import ADDRESS

logger = logging.getLogger(__name__)


def with_local_weights(model: ModelParams) -> ModelParams:
    """``model`` with the path of the registered weights that it names; any other as it is.

    Raises:
        UserError: The address is wrong, there is no such version, or its weights are not what was registered.
    """
    if not model.weights.startswith(ADDRESS):
        return model
    from models.saved import WEIGHTS
    from tasks.registry.address import addressed_version
    from tasks.registry.client import registry
    from tasks.registry.names import MODEL_FOLDER
    from tasks.registry.trust import verified_files

    client = registry()
    version = addressed_version(client, model.weights, "model.weights")
    weights = f"{MODEL_FOLDER}/{WEIGHTS}"
    path = verified_files(client, version, (weights,)) / weights
    logger.info("the backbone starts from version %s of %s", version.version, version.name)
    return model.model_copy(update={"weights": str(path)})
