"""``python -m infra.demo.days``: the days after round one. The world changes, the watch looks, people label, promote.

Every day the cameras' video comes in and the watch looks at it. When it asks for labels, people give them; when it
retrains and people would promote the new version by what the judge says, it is promoted, and the next days are answered
by it. A day that is over is not done again, and one that was stopped goes on.
"""

import argparse
import os
from collections.abc import Sequence

from rich.console import Console

from flows.lost_server import leave
from infra import servers
from infra.demo.calendar import Calendar
from infra.demo.looks import LOOKS
from tasks.process import readable, speak
from tasks.settings import hush, settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and live through the days."""
    parser = argparse.ArgumentParser(prog="python -m infra.demo.days", description=__doc__)
    parser.add_argument("--days", type=int, default=30, metavar="N", help="how many (30)")
    parser.add_argument(
        "--look", default="high_camera", metavar="NAME", help=f"one of {', '.join(LOOKS)} (high_camera)"
    )
    parser.add_argument("--quiet-days", type=int, default=12, metavar="N", help="days before the look changes (12)")
    parser.add_argument("--cameras", type=int, default=24, metavar="N", help="how many, the first of round one's (24)")
    parser.add_argument("--every", type=int, default=2, metavar="N", help="every so-many-th camera changes (2)")
    parser.add_argument("--clips-per-day", type=int, default=4, metavar="N", help="of each camera (4)")
    parser.add_argument("--labels-per-class", type=int, default=20, metavar="N", help="that people give at a time (20)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="that of round one's world (0)")
    parser.add_argument("--compare", choices=["weekly"], help="also retrain weekly, whatever happens")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    options = parser.parse_args(arguments)
    calendar = Calendar(
        options.look, options.quiet_days, options.cameras, options.every, options.clips_per_day, options.seed
    )
    console = Console()
    servers.connect(console.print)
    from infra.demo.replay import Replay

    replay = Replay(calendar, settings().home / "days", options.labels_per_class, options.workers, console)
    replay.run(options.days, weekly=options.compare == "weekly")


if __name__ == "__main__":
    hush()
    speak()
    leave(readable(main))
