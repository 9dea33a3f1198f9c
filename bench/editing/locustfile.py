"""A load test with locust: users post cases of editing, and wait for the notice of each.

Run ``locust -f bench/editing/locustfile.py --cases FOLDER --runtime NAME --template sdwebui``; see also ``--help``.
"""

import itertools
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from locust import HttpUser, events

from bench.editing.cases import CaseError, fill, read_cases, read_template
from bench.editing.platform import PlatformClient, add_platform_options, find_target


def add_options(parser: Any) -> None:
    """Add the bench's options to locust's own."""
    parser.add_argument("--cases", type=Path, required=True, help="folder of cases")
    add_platform_options(parser)


def prepare(environment: Any, **_: object) -> None:
    """Find the platform and read the cases."""
    options = environment.parsed_options
    environment.target = find_target(options, environment.host)
    environment.host = environment.target.endpoint
    environment.cases, environment.template = read_cases(options.cases), read_template(options.template)
    environment.numbers = itertools.count(1)
    environment.ending = ExitStack()


def begin(environment: Any, **_: object) -> None:
    """Listen for notices before the first user posts. A restarted test is a new run."""
    environment.platform = environment.ending.enter_context(PlatformClient(environment.target).listening())


def end(environment: Any, **_: object) -> None:
    """Stop listening."""
    environment.ending.close()


def edit(user: Any) -> None:
    """Post a case and wait for its notice; the API's answer and the notice are separate rows in locust's table."""
    environment = user.environment
    platform, options = environment.platform, environment.parsed_options
    (case,) = random.choices(environment.cases, [case.weight for case in environment.cases])
    task_id = f"{platform.run}-{case.id}-{next(environment.numbers)}"
    body = fill(case, options.cases, environment.template, platform.link)
    request, headers = platform.request(task_id, options.runtime, body), {"x-api-key": environment.target.api_key}
    began, failure = time.monotonic(), None
    if not user.client.post("/v1alpha2", json=request, headers=headers, name="the API's answer").ok:
        return
    try:
        _, ended = platform.wait(task_id, options.wait)
    except CaseError as exc:
        ended, failure = time.monotonic(), exc
    seen = {"request_type": "notice", "name": case.kind, "response_time": (ended - began) * 1000}
    environment.events.request.fire(**seen, response_length=0, exception=failure, context={})


class Editor(HttpUser):  # type: ignore[misc, unused-ignore]
    """Posts case after case."""

    tasks: ClassVar = [edit]


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(prepare)
events.test_start.add_listener(begin)
events.test_stop.add_listener(end)
