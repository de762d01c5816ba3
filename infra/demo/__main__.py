"""``python -m infra.demo OUT``: render the demonstration's world as video files with a table of labels."""

import argparse
import logging
import os
import sys
from pathlib import Path

from infra.demo.dataset import WorldSpec, write_world
from infra.demo.looks import LOOKS
from tasks.process import readable


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo", description="Render the demonstration's world.")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for clips.csv and the videos")
    parser.add_argument("--look", default="base", help=f"how the world looks: {', '.join(LOOKS)} (default: base)")
    parser.add_argument("--cameras", type=int, default=24, metavar="N", help="number of cameras (default: 24)")
    parser.add_argument("--clips-per-action", type=int, default=2, metavar="N", help="for each camera (default: 2)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another seed is another world (default: 0)")
    parser.add_argument("--batch", type=int, default=0, metavar="B", help="another batch: same cameras, later")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    options = parser.parse_args(arguments)
    write_world(
        options.out,
        WorldSpec(options.look, options.seed, options.batch),
        cameras=options.cameras,
        clips_per_action=options.clips_per_action,
        workers=options.workers,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    raise SystemExit(readable(main))
