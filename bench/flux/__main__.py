"""The flux server beside a bare loop over the same pipeline, or with --gpu FLUX's real shape against the roofline."""

import argparse
import signal
import sys

from bench.figures import exit_status
from bench.flux import comparison, roofline
from bench.flux.programs import ProgramError

_INTERRUPTED, _TERMINATED = 130, 143


def main() -> int:
    """Measure and print; 1 when it could not be done, or a limit is not kept in the long form."""
    # As an exception, so that what was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    parser = argparse.ArgumentParser(prog="python -m bench.flux", description=__doc__)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--short", action="store_true", help="half a minute's worth: fewer runs, fewer pictures")
    forms.add_argument("--gpu", action="store_true", help="FLUX.1-schnell's shape, random weights, on the first GPU")
    arguments = parser.parse_args()
    try:
        if arguments.gpu:
            roofline.report()
            return 0
        return exit_status(comparison.report(short=arguments.short), short=arguments.short)
    except (ProgramError, roofline.NoGpuError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
