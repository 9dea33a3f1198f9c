"""Runs the named benches, or all: ``python -m bench [--short] [BENCH ...]``."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping

from bench import api, box, door, icons, plan
from bench.agent import report as agent
from bench.coldstart import report as coldstart
from bench.figures import Figure, exit_status

_INTERRUPTED, _TERMINATED = 130, 143
_DOOR_RUNS = 10
_SHORT_DOOR_RUNS = 1

_BENCHES: Mapping[str, Callable[[bool], list[Figure]]] = {
    "door": lambda short: door.report(_SHORT_DOOR_RUNS if short else _DOOR_RUNS),
    "api": lambda short: api.report(short=short),
    "agent": lambda short: agent.report(short=short),
    "icons": lambda short: icons.report(short=short),
    "box": lambda short: box.report(short=short),
    "coldstart": lambda short: coldstart.report(short=short),
    "plan": lambda short: plan.report(short=short),
}


def main() -> int:
    """Measure and print; return 1 if a bench cannot finish, or if the long form exceeds a limit."""
    # Becomes an exception, so that all processes of a bench end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"any of {', '.join(_BENCHES)} (default: all)")
    parser.add_argument("--short", action="store_true", help="show that each bench works: few runs, few tasks")
    arguments = parser.parse_args()
    if unknown := set(arguments.benches) - set(_BENCHES):
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(_BENCHES)}")
    try:
        figures = [figure for name in arguments.benches or _BENCHES for figure in _BENCHES[name](arguments.short)]
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return exit_status(figures, short=arguments.short)


if __name__ == "__main__":
    sys.exit(main())
