import pytest

from models.errors import UserError
from tasks.overrides import apply_overrides, searchable
from tests.support.trials import JOB, MODEL


def test_values_reach_their_sections_and_nothing_else():
    model, job = apply_overrides(MODEL, JOB, {"lr": 0.5, "head.dropout": 0.4, "augment.flip": 0.0, "optimizer": "sgd"})
    assert model == MODEL.model_copy(update={"head": MODEL.head.model_copy(update={"dropout": 0.4})})
    augment = JOB.augment.model_copy(update={"flip": 0.0})
    assert job == JOB.model_copy(update={"lr": 0.5, "augment": augment, "optimizer": "sgd"})


def test_methods_and_their_sizes_can_be_searched():
    _, job = apply_overrides(MODEL, JOB, {"method": "lora", "lora.rank": 4, "layer_decay": 0.8, "unfreeze": 2})
    lora = JOB.lora.model_copy(update={"rank": 4})
    assert job == JOB.model_copy(update={"method": "lora", "lora": lora, "layer_decay": 0.8, "unfreeze": 2})


def test_no_values_change_nothing():
    assert apply_overrides(MODEL, JOB, {}) == (MODEL, JOB)


def test_everything_searchable_can_be_applied():
    assert apply_overrides(MODEL, JOB, searchable(MODEL, JOB)) == (MODEL, JOB)


@pytest.mark.parametrize(
    "key", ["family", "head", "augment", "head.head.dropout", "lr.x", "augment.no_flip_labels", ""]
)
def test_what_is_no_single_value_cannot_be_searched(key):
    with pytest.raises(UserError, match=r"params\.yaml: search\.space\."):
        apply_overrides(MODEL, JOB, {key: 1})


@pytest.mark.parametrize(("key", "value"), [("lr", 0.0), ("head.dropout", 1.0), ("augment.flip", 2.0)])
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(UserError, match=rf"params\.yaml: search\.space\.{key}: .*{value}"):
        apply_overrides(MODEL, JOB, {key: value})
