"""The flux server beside a bare loop over the same pipeline, or with --gpu FLUX's real shape against the roofline."""

import argparse
import os
import signal
import sys

from bench.figures import exit_status
from bench.flux import comparison, roofline


def main() -> int:
    """Measure and print; 1 when a limit is not kept in the long form. Exits with a sentence if it cannot be done."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # inherited by each program
    # As an exception, so that what was started is ended on the way out.
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
