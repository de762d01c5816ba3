"""Clips a second of the demonstration's renderer in one process, encoding included: ``python -m bench.renderer``."""

import argparse
import time
from itertools import cycle, product

from bench.machine import describe
from infra.demo.dataset import Clip, World
from infra.demo.looks import LOOKS
from infra.demo.takes import ACTIONS, FPS, NUM_FRAMES, SIZE

_NUM_CAMERAS = 8


def main() -> None:
    """Make video files of all actions before several cameras in turn, and print what they cost."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--look", default="base", metavar="NAME", help=f"one of {', '.join(LOOKS)} (base)")
    arguments.add_argument("--seconds", type=float, default=20.0, help="how long to measure (20)")
    options = arguments.parse_args()
    world = World(options.look)
    clips = [Clip(camera, 1, label) for label, camera in product(ACTIONS, range(_NUM_CAMERAS))]
    world.encoded(clips[0])

    count, num_bytes = 0, 0
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    for clip in cycle(clips):
        num_bytes += len(world.encoded(clip))
        count += 1
        if (wall_s := time.perf_counter() - started_s) > options.seconds:
            break
    cpu_s = time.process_time() - started_cpu_s

    print(describe("numpy", "av"))
    print(f"clips of {NUM_FRAMES} frames at {FPS} a second, {SIZE[1]}x{SIZE[0]}, H.264; look {options.look}")
    print(f"clips: {count}, {num_bytes / count / 1e3:.1f} kB each")
    print(f"clips/s: {count / wall_s:.1f}; per second of processor time: {count / cpu_s:.1f}")


if __name__ == "__main__":
    main()
