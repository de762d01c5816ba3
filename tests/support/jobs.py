"""A small job as a process: ``python -m tests.support.jobs DATA HOME OUT``, killed, stopped, or one of several."""

import sys
from pathlib import Path

from models.digest import tensors_digest
from models.processes import joined
from models.spec import FineTuneParams, HeadParams, ModelParams
from tasks.job import job

MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="linear", dropout=0.0))
JOB = FineTuneParams(
    method="full", epochs=3, head_epochs=2, batch_size=5, lr=0.01, ema=0.5, early_stopping_patience=0, num_threads=1
)


def main() -> None:
    """Train, with a checkpoint after every step, and write the weights' digest and the validation losses."""
    data, home, out = map(Path, sys.argv[1:])
    with joined() as group:
        model, _, epochs = job(
            MODEL, JOB, data, seed=0, checkpoint=home / "checkpoints", checkpoint_s=0.0, group=group,
            feature_cache=home / "features", on_epoch=lambda epoch: print(epoch.epoch, flush=True),
        )  # fmt: skip
        if group.is_first:
            losses = [f"{epoch.val_loss:.9f}" for epoch in epochs]
            out.write_text("\n".join([tensors_digest(model.state_dict()), *losses]))


if __name__ == "__main__":
    main()
