"""How every script of deploy/ ends: in one place, so that they all fail alike."""

import signal
import sys
from collections.abc import Callable

from deploy.errors import DeployError
from deploy.refusals import AwsFailure, explained

_INTERRUPTED = 130
_TERMINATED = 143


def exit_code_of(script: Callable[[], None]) -> int:
    """Run a script; a failure is printed with what to do about it.

    Returns:
        0 when it did its work, 1 when it failed, 130 when it was interrupted.
    """
    # An end by SIGTERM runs what stands under `finally` too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        script()
    except DeployError as exc:
        return _told(exc)
    except AwsFailure as exc:
        return _told(explained(exc))
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on.", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _told(error: DeployError) -> int:
    print(f"\n{error.problem}\n  → {error.remedy}", file=sys.stderr)
    return 1
