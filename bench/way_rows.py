"""The ways of fine-tuning that :mod:`bench.methods` compares, and which rows that makes."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.adapters.sites import BLOCKS

# What is new or small beside frozen weights learns at the head's rate; LoRA's paper has ten times that of full tuning.
_AT_HEADS_RATE = {"backbone_lr_scale": 1.0}

# Random weights have no statistics worth keeping and no features worth a head of its own.
FROM_NOTHING: dict[str, Any] = {
    "backbone_lr_scale": 1.0,
    "freeze_batch_norm": False,
    "head_epochs": 0,
    "early_stopping_patience": 0,
}

WAYS: dict[str, dict[str, Any]] = {
    "linear probe": {"method": "head"},
    "head": {"method": "head"},
    "last stage": {"method": "stages", "stages": {"last": 1}},
    "last three stages": {"method": "stages", "stages": {"last": 3}},
    "norm and bias": {"method": "norm", **_AT_HEADS_RATE},
    "LoRA": {"method": "lora", "lora": {"rank": 8}, **_AT_HEADS_RATE},
    "LoRA, rank 4": {"method": "lora", "lora": {"rank": 4}, **_AT_HEADS_RATE},
    "ST-Adapter": {"method": "adapter", "adapter": {"kind": "st"}, **_AT_HEADS_RATE},
    "ST-Adapter, narrow": {"method": "adapter", "adapter": {"kind": "st", "width": 0.05}, **_AT_HEADS_RATE},
    "AIM": {"method": "adapter", "adapter": {"kind": "aim"}, **_AT_HEADS_RATE},
    "full": {"method": "full"},
    "full, layer decay": {"method": "full", "layer_decay": 0.8},
    "full, unfreezing": {"method": "full", "unfreeze": 1},
    "full, L2-SP": {"method": "full", "l2_sp": 0.01, "weight_decay": 0.0},
    "student": {"method": "full"},
    "student, taught": {"method": "full", "teacher": {"logits": 1.0}},
    "student, taught features too": {"method": "full", "teacher": {"logits": 1.0, "features": 1.0}},
}
"""Fields of section ``fine_tune``."""

MAJORITY = "majority"
STUDENTS = ("student", "student, taught", "student, taught features too")
_WITHOUT_WEIGHTS = ("linear probe", "full")
"""Rows that are made without weights and after pretraining too."""

_NONE = "none"


@dataclass(frozen=True)
class Row:
    """What a line of the file is about.

    Attributes:
        family: Of the network.
        flavour: Of the family.
        weights: Where these come from.
        hidden: Width of the temporal head.
        method: One of :data:`WAYS` or of the command line, or ``majority``.
        seed: Of all that is drawn, the labelled clips among it.
        epochs: Of the method.
        labelled: Clips of a class to train on; 0 for all.
        pretrained: Epochs of pretraining without labels.
    """

    family: str
    flavour: str
    weights: str
    hidden: int
    method: str
    seed: int
    epochs: int
    labelled: int = 0
    pretrained: int = 0

    @property
    def starts_from_nothing(self) -> bool:
        """Whether nobody's weights are in it."""
        return self.weights == _NONE

    @property
    def key(self) -> str:
        """A name for files."""
        return "-".join(map(str, asdict(self).values())).replace("/", "_").replace(" ", "_")

    def __str__(self) -> str:
        labels = f", {self.labelled} labels a class" if self.labelled else ""
        return f"{self.network}{labels}: {self.method}, seed {self.seed}"

    @property
    def network(self) -> str:
        """The network and its start."""
        start = f"{self.weights} + pretrain" if self.pretrained else self.weights
        return f"{self.family} {self.flavour} {start}"


def rows_of(options: argparse.Namespace, ways: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """The rows that the command line asks for, seed by seed."""
    weights_of = dict.fromkeys([options.weights, _NONE])
    for seed in range(options.seeds):
        for method in options.method:
            if method in STUDENTS:
                yield _row(options, method, seed, *options.student)
                continue
            for weights in weights_of:
                is_wanted = weights == options.weights or method in _WITHOUT_WEIGHTS
                if not is_wanted or (fits_transformers_alone(ways.get(method, {})) and options.family not in BLOCKS):
                    continue
                row = _row(options, method, seed, options.family, options.flavour, weights)
                yield row
                if method in _WITHOUT_WEIGHTS and options.pretrain_epochs:
                    yield Row(**asdict(row) | {"pretrained": options.pretrain_epochs})


def fits_transformers_alone(job: Mapping[str, Any]) -> bool:
    """Whether a way needs blocks of attention."""
    adapter: Mapping[str, Any] = job.get("adapter", {})
    return job.get("method") == "adapter" and adapter.get("kind") == "aim"


def teacher_of(row: Row, options: argparse.Namespace) -> Row:
    """The row whose model teaches the student of ``row``."""
    return _row(options, "full", row.seed, options.family, options.flavour, options.weights)


def compared_with(row: Row, rows: Mapping[Row, Any]) -> Row | None:
    """The row of the same seed that shows what is special about ``row``; None where it is not there.

    A student that is taught is compared with one that is not, a pretrained network with one that is not, one without
    weights with one that has them, and every other way with training all weights.
    """
    if row.pretrained:
        return _found(row, rows, pretrained=0)
    if row.method in STUDENTS:
        return _found(row, rows, method=STUDENTS[0]) if row.method != STUDENTS[0] else None
    if row.method != "full":
        return _found(row, rows, method="full")
    if row.starts_from_nothing:
        facts = {**asdict(row), "weights": "", "epochs": 0}
        same = (other for other in rows if {**asdict(other), "weights": "", "epochs": 0} == facts and other != row)
        return next(same, None)
    return None


def _found(row: Row, rows: Mapping[Row, Any], **changes: Any) -> Row | None:
    other = Row(**asdict(row) | changes)
    return other if other in rows else None


def _row(options: argparse.Namespace, method: str, seed: int, family: str, flavour: str, weights: str) -> Row:
    epochs = options.epochs_from_nothing if weights == _NONE else options.epochs
    return Row(family, flavour, weights, options.hidden, method, seed, epochs, options.labelled_per_class)
