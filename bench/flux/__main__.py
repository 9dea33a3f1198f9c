"""Compares the flux server with a bare loop over the same pipeline; with --gpu, FLUX's real shape with the roofline."""

import argparse
import os
import signal
import sys

from bench.figures import exit_status
from bench.flux import comparison, roofline


def main() -> int:
    """Measure and print; return 1 if the long form exceeds a limit. Exits with a message if it cannot measure."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # inherited by each program
    # Becomes an exception, so that all started processes end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(prog="python -m bench.flux", description=__doc__)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--short", action="store_true", help="half a minute's worth: fewer runs, fewer pictures")
    forms.add_argument("--gpu", action="store_true", help="FLUX.1-schnell's shape, random weights, on the first GPU")
    arguments = parser.parse_args()
    if arguments.gpu:
        roofline.report()
        return 0
    return exit_status(comparison.report(short=arguments.short), short=arguments.short)


if __name__ == "__main__":
    sys.exit(main())
