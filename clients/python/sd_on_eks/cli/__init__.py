"""The command ``sd``.

Exit codes: 0 for success, 1 if a job failed, 2 for wrong arguments, 3 if the API rejects a request or does not answer.
Results go to stdout; progress and errors go to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from sd_on_eks.cli.arguments import parser
from sd_on_eks.cli.commands import WrongUsage
from sd_on_eks.cli.planner import plan
from sd_on_eks.cli.screen import Screen
from sd_on_eks.errors import ClientError, JobFailed, NotConfigured

FAILED, USAGE, API_ERROR, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if arguments is None else [*arguments]
    # The checkout knows the options of a plan.
    return _planned(words[1:]) if words[:1] == ["plan"] else _called(words)


def _planned(arguments: Sequence[str]) -> int:
    try:
        return plan(arguments)
    except NotConfigured as exc:
        return _failed(Screen(as_json=False), exc, USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _called(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    screen = Screen(as_json=options.json)
    try:
        succeeded: bool = options.command(options, screen)
    except (WrongUsage, NotConfigured) as exc:
        return _failed(screen, exc, USAGE)
    except JobFailed as exc:
        return _failed(screen, exc, FAILED)
    except ClientError as exc:
        return _failed(screen, exc, API_ERROR)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as in `sd ls | head -1`; Python still flushes stdout on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0 if succeeded else FAILED


def _failed(screen: Screen, error: Exception, code: int) -> int:
    screen.complain(str(error))
    return code
