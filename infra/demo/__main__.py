"""``python -m infra.demo OUT``: render the demonstration's world as video files with a table of labels."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from infra.demo.dataset import World, write_world
from infra.demo.looks import LOOKS
from tasks.process import readable, speak


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description="Render the demonstration's world.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for clips.csv and the videos")
    parser.add_argument("--look", default="base", metavar="NAME", help=f"one of {', '.join(LOOKS)} (base)")
    parser.add_argument("--cameras", type=int, default=24, metavar="N", help="how many cameras (24)")
    parser.add_argument("--clips-per-action", type=int, default=2, metavar="N", help="for each camera (2)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed is another world (0)")
    parser.add_argument("--batch", type=int, default=0, metavar="B", help="same cameras, 20 days later each (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    options = parser.parse_args(arguments)
    write_world(
        World(options.look, options.seed, options.batch),
        options.out,
        cameras=options.cameras,
        clips_per_action=options.clips_per_action,
        workers=options.workers,
    )


if __name__ == "__main__":
    speak()
    raise SystemExit(readable(main))
