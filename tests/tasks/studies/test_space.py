import json

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from models.errors import UserError
from tasks.studies.space import champion_values, default_values, distributions
from tests.support.champions import write_champion
from tests.support.trials import JOB, MODEL, search_params


def test_each_kind_of_field_has_its_distribution():
    params = search_params(
        space={
            "lr": {"low": 1e-4, "high": 1.0, "log": True},
            "head.dropout": {"low": 0.0, "high": 0.5},
            "augment.colour": {"low": 0.1, "high": 0.4},
            "batch_size": {"low": 8, "high": 64.0, "log": True},
            "optimizer": {"choices": ["adamw", "sgd"]},
            "freeze_batch_norm": {"choices": [True, False]},
        }
    )
    assert distributions(MODEL, params) == {
        "lr": FloatDistribution(1e-4, 1.0, log=True),
        "head.dropout": FloatDistribution(0.0, 0.5),
        "augment.colour": FloatDistribution(0.1, 0.4),
        "batch_size": IntDistribution(8, 64, log=True),
        "optimizer": CategoricalDistribution(("adamw", "sgd")),
        "freeze_batch_norm": CategoricalDistribution((True, False)),
    }


def test_the_default_configuration_is_what_job_and_model_say():
    params = search_params(space={key: {"low": 0, "high": 9} for key in ("lr", "head.dropout", "epochs")})
    assert default_values(MODEL, params) == {"lr": 0.01, "head.dropout": 0.2, "epochs": 5}


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("learning_rate", {"low": 0.1, "high": 1}, r"space\.learning_rate: there is no such field.*known: method, "),
        ("weight_decy", {"low": 0.0, "high": 1}, r"space\.weight_decy: .*did you mean weight_decay\?"),
        ("head.dropuot", {"low": 0.0, "high": 0.5}, r"space\.head\.dropuot: .*did you mean head\.dropout\?"),
        ("augment", {"low": 0.0, "high": 0.5}, r"space\.augment: there is no such field"),
        ("head.dropout", {"low": 0.0, "high": 1.0}, r"space\.head\.dropout: .*less than 1.*1\.0"),
        ("lr", {"low": -1.0, "high": 1.0}, r"space\.lr: .*greater than 0.*-1\.0"),
        ("lr", {"low": 1.0, "high": 0.1}, r"space\.lr: low \(1\) must be less than high \(0\.1\)"),
        ("lr", {"low": 0.0, "high": 0.1, "log": True}, r"space\.lr: with log, low must be more than 0"),
        ("lr", {"low": 0.1, "high": float("inf")}, r"space\.lr: low"),
        ("lr", {"low": 0.1, "high": 1.0}, r"space\.lr: the default, 0\.01, .*widen the range"),
        ("optimizer", {"choices": ["sgd"]}, r"space\.optimizer: the default, 'adamw', must be among the choices"),
        ("optimizer", {"choices": ["adamw", "lion"]}, r"space\.optimizer: .*'lion'"),
        ("optimizer", {"low": 0.0, "high": 1.0}, r"space\.optimizer: 'adamw' is not a number"),
        ("batch_size", {"low": 1.5, "high": 32}, r"space\.batch_size: 1\.5 must be a whole number"),
    ],
)
def test_a_wrong_entry_is_named_with_its_remedy(key, entry, message):
    with pytest.raises(UserError, match=r"^params\.yaml: search\." + message):
        distributions(MODEL, search_params(space={key: entry}))


def test_a_champions_values_are_what_it_was_trained_with(tmp_path):
    model = MODEL.model_copy(update={"head": MODEL.head.model_copy(update={"dropout": 0.35})})
    job = JOB.model_copy(update={"lr": 0.004, "optimizer": "sgd", "batch_size": 24})
    champion = write_champion(tmp_path / "champion", model=model, job=job)
    space = distributions(
        MODEL,
        search_params(
            space={
                "lr": {"low": 1e-4, "high": 1.0, "log": True},
                "head.dropout": {"low": 0.0, "high": 0.5},
                "augment.colour": {"low": 0.1, "high": 0.4},
                "batch_size": {"low": 8, "high": 64},
                "optimizer": {"choices": ["adamw", "sgd"]},
            }
        ),
    )
    assert champion_values(champion, space) == {
        "lr": 0.004, "head.dropout": 0.35, "augment.colour": 0.3, "batch_size": 24, "optimizer": "sgd",
    }  # fmt: skip


def test_what_the_space_does_not_hold_is_left_to_the_search(tmp_path):
    champion = write_champion(tmp_path / "champion", job=JOB.model_copy(update={"lr": 5.0, "optimizer": "sgd"}))
    space = distributions(
        MODEL, search_params(space={"lr": {"low": 1e-4, "high": 1.0}, "optimizer": {"choices": ["adamw"]}})
    )
    assert champion_values(champion, space) == {}


def test_a_champion_that_does_not_say_how_it_was_trained(tmp_path):
    card = write_champion(tmp_path / "champion") / "model.json"
    content = json.loads(card.read_text())
    del content["fine_tune"]
    card.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"model\.json: this does not say how the champion was trained"):
        champion_values(tmp_path / "champion", {})
