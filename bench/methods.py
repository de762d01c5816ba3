"""What each way of fine-tuning reaches on cameras that it never saw: ``python -m bench.methods --out methods.jsonl``.

Every row is trained on the dataset's training cameras, its rate chosen on those for validation, and measured on those
for the test: accuracy, the same with each clip's frames in random order, how many parameters trained, how large a file
of these alone is, how long it took, and the difference from what it should be held against. There are rows without
weights; rows after pretraining, for which the training cameras' clips were looked at without their labels; and a small
network with and without the row ``full`` for its teacher. ``--labelled-per-class`` hides most of the labels.

Rows that the file has already are not made again, and a row that was cut off goes on where it was. The command may run
several times side by side on one file: each takes rows that no other has begun (then seconds count little).

A larger test than the demonstration's 156 clips of 6 cameras, in about three minutes of one core:
``python -m infra.demo world --cameras 80`` renders it, and ``python -m tasks.ingest world`` takes it in where
params.yaml has ``split.val: 0.15`` and ``split.test: 0.4``; with ``ingest.short_side: 112``, ``max_fps: 6`` and
``jpeg_quality: 60`` it takes half the space a clip.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from bench.machine import describe
from bench.way_rows import MAJORITY, WAYS, rows_of
from bench.way_runs import Runs
from bench.way_table import print_table, read_rows
from models.errors import UserError


def main() -> None:
    """Train what is missing, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = arguments.add_argument
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, metavar="FILE", help="rows, as JSON lines; it is added to")
    what.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="print what these have, make nothing")
    add("--data", type=Path, default=Path("data"), metavar="FOLDER", help="the dataset (data)")
    add("--family", default="efficientnet_lite0", metavar="NAME", help="(efficientnet_lite0)")
    add("--flavour", default="8x112", metavar="NAME", help="(8x112)")
    add("--weights", default="imagenet", metavar="NAME", help="as in params.yaml (imagenet)")
    add("--hidden", type=int, default=64, metavar="N", help="width of the temporal head (64)")
    add("--method", nargs="*", default=[MAJORITY, *WAYS], metavar="NAME", help=f"of {MAJORITY}, {', '.join(WAYS)}")
    add("--way", nargs=2, action="append", default=[], metavar=("NAME", "JSON"), help="one more: fields of fine_tune")
    add("--student", nargs=3, default=("x3d", "8x112", "none"), metavar=("FAMILY", "FLAVOUR", "WEIGHTS"))
    add("--labelled-per-class", type=int, default=0, metavar="N", help="labels to train on; 0 for all (0)")
    add("--lr", nargs="+", type=float, default=[1e-3, 3e-3], metavar="X", help="rates to choose from")
    add("--epochs", type=int, default=10, metavar="N", help="of the method (10)")
    add("--head-epochs", type=int, default=20, metavar="N", help="of the head before that (20)")
    add("--epochs-from-nothing", type=int, default=40, metavar="N", help="of networks without weights (40)")
    add("--pretrain-epochs", type=int, default=30, metavar="N", help="0 leaves rows with pretraining out (30)")
    add("--pretrain-batch-size", type=int, default=32, metavar="N", help="(32)")
    add("--batch-size", type=int, default=16, metavar="N", help="(16)")
    add("--precision", choices=("fp32", "bf16"), default="fp32", help="(fp32)")
    add("--threads", type=int, default=2, metavar="N", help="of the network on a CPU (2)")
    add("--seeds", type=int, default=1, metavar="N", help="how often each row is made (1)")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", metavar="NAME")
    options = arguments.parse_args()
    if options.out:
        _make(options)
    print_table(read_rows(options.table or [options.out]))


def _make(options: argparse.Namespace) -> None:
    device = torch.cuda.get_device_name() if options.device.startswith("cuda") else options.device
    print(describe("torch"), f"on {device}", flush=True)
    ways = WAYS | {name: _fields(name, text) for name, text in options.way}
    options.method = [*options.method, *(name for name, _ in options.way)]
    if unknown := [name for name in options.method if name not in (MAJORITY, *ways)]:
        raise UserError(f"--method {unknown[0]}: there is no such way; take some of {', '.join((MAJORITY, *ways))}")
    folder = options.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    runs = Runs(options, ways, folder)
    for row in rows_of(options, ways):
        try:
            with FileLock(folder / f"{row.key}.row", timeout=0):
                if row in read_rows([options.out]):
                    continue
                print(f"{row} ...", flush=True)
                found = runs.made(row)
                with FileLock(folder / "file.lock"), options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row) | found) + "\n")
                print(f"  accuracy {found['accuracy']:.3f}", flush=True)
        except Timeout:  # it is being made
            continue


def _fields(name: str, text: str) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["method"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f'--way {name}: {text} is not like {{"method": "lora", "lora": {{"rank": 4}}}}') from None
    return fields


if __name__ == "__main__":
    main()
