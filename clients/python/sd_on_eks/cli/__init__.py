"""The command ``sd``.

It exits with 0, with 1 if a job has failed, with 2 if it was called in a wrong way, and with 3 if the API rejects a
request or does not answer. Results go to stdout; how far a job is, and errors, go to stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from sd_on_eks.cli.arguments import parser
from sd_on_eks.cli.commands import WrongUsage
from sd_on_eks.cli.screen import Screen
from sd_on_eks.errors import ClientError, JobFailed, NotConfigured

FAILED, USAGE, API_ERROR, INTERRUPTED = 1, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
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
    except BrokenPipeError:  # as of `sd ls | head -1`; Python's own flush at the end must find a reader
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0 if succeeded else FAILED


def _failed(screen: Screen, error: Exception, code: int) -> int:
    screen.complain(str(error))
    return code
