"""A load test with locust: users post cases of editing, and wait for the end of each.

Run ``locust -f bench/editing/locustfile.py --cases FOLDER --runtime NAME --template sdwebui``; see also ``--help``.
"""

import itertools
import random
import time
from pathlib import Path
from typing import Any, ClassVar

from locust import HttpUser, events

from bench.editing.cases import CaseError, fill, read_cases, read_template
from bench.editing.platform import PlatformClient, add_platform_options, connect, seconds_of


def add_options(parser: Any) -> None:
    """Add the bench's options to locust's own."""
    parser.add_argument("--cases", type=Path, required=True, help="folder of cases")
    add_platform_options(parser)


def prepare(environment: Any, **_: object) -> None:
    """Find the platform and read the cases."""
    options = environment.parsed_options
    environment.sd = connect(options, environment.host)
    environment.host = environment.sd.connection.url
    environment.cases, environment.template = read_cases(options.cases), read_template(options.template)
    environment.numbers = itertools.count(1)


def begin(environment: Any, **_: object) -> None:
    """A restarted test is a new run."""
    environment.platform = PlatformClient(environment.sd)


def edit(user: Any) -> None:
    """Post a case and wait for its end; the API's answer and the job are separate rows in locust's table."""
    environment = user.environment
    platform, options = environment.platform, environment.parsed_options
    (case,) = random.choices(environment.cases, [case.weight for case in environment.cases])
    task_id = f"{platform.run}-{case.id}-{next(environment.numbers)}"
    body = fill(case, options.cases, environment.template, platform.link)
    # By locust's own client, which measures it.
    request = platform.request(task_id, options.runtime, body)
    headers = {"x-api-key": environment.sd.connection.api_key}
    began, failure = time.monotonic(), None
    answer = user.client.post("/v1/jobs", json=request, headers=headers, name="the API's answer")
    if not answer.ok:
        return
    try:
        took_s = seconds_of(platform.wait(answer.json()["job"], options.wait))
    except CaseError as exc:
        took_s, failure = time.monotonic() - began, exc
    seen = {"request_type": "job", "name": case.kind, "response_time": took_s * 1000}
    environment.events.request.fire(**seen, response_length=0, exception=failure, context={})


class Editor(HttpUser):  # type: ignore[misc, unused-ignore]
    """Posts case after case."""

    tasks: ClassVar = [edit]


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(prepare)
events.test_start.add_listener(begin)
