"""Load by locust: users that post cases of editing, and wait for each one's notice.

``locust -f bench/editing/locustfile.py --cases FOLDER --runtime NAME --template sdwebui``; all options: ``--help``.
"""

import time
from pathlib import Path
from typing import Any, ClassVar

from locust import HttpUser, events

from bench.editing.contents import template_names
from bench.editing.load import Load, Posting, UnsuccessfulError
from bench.editing.platform import find_target


def add_options(parser: Any) -> None:
    """Add the bench's options to locust's own."""
    parser.add_argument("--cases", type=Path, required=True, help="folder of cases")
    parser.add_argument("--runtime", required=True, help="name of the runtime")
    parser.add_argument("--template", default="flux-edit", help=f"{', '.join(template_names())}, or a file of your own")
    parser.add_argument("--wait", type=float, default=900, help="seconds after which a task without a notice failed")
    parser.add_argument("--stack-file", type=Path, default=Path(".local/stack.json"), help="of the local platform")
    parser.add_argument("--api-key-file", type=Path, help="with --host, of a deployed platform: file of its key")
    parser.add_argument("--topic-arn", help="with --host: the topic of notices")
    parser.add_argument("--bucket", help="with --host: the output bucket, for templates that want links")


def prepare(environment: Any, **_: object) -> None:
    """Find the platform and read the cases."""
    options = environment.parsed_options
    target = find_target(
        stack_file=options.stack_file,
        endpoint=environment.host,
        api_key_file=options.api_key_file,
        topic_arn=options.topic_arn,
        bucket=options.bucket,
    )
    environment.host = target.endpoint
    environment.load = Load(
        target, runtime=options.runtime, folder=options.cases, template=options.template, wait_s=options.wait
    )


def begin(environment: Any, **_: object) -> None:
    """Listen for notices before the first user posts."""
    environment.load.begin()


def end(environment: Any, **_: object) -> None:
    """Listen no longer."""
    environment.load.end()


def edit(user: Any) -> None:
    """Post a case and wait for its picture; the API's answer and the notice are two rows in locust's table."""
    load: Load = user.environment.load
    posting = load.next_posting()
    began = time.monotonic()
    headers = {"x-api-key": load.target.api_key}
    if user.client.post("/v1alpha2", json=posting.body, headers=headers, name="the API's answer").ok:
        _report_notice(user, load, posting, began)


def _report_notice(user: Any, load: Load, posting: Posting, began: float) -> None:
    failure = None
    try:
        ended = load.await_picture(posting)
    except UnsuccessfulError as exc:
        ended, failure = time.monotonic(), exc
    user.environment.events.request.fire(
        request_type="notice",
        name=posting.case.kind,
        response_time=(ended - began) * 1000,
        response_length=0,
        exception=failure,
        context={},
    )


class Editor(HttpUser):  # type: ignore[misc, unused-ignore]
    """Posts one case after the other."""

    tasks: ClassVar = [edit]


events.init_command_line_parser.add_listener(add_options)
events.init.add_listener(prepare)
events.test_start.add_listener(begin)
events.test_stop.add_listener(end)
