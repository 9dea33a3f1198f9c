"""What a GPU waited for between two jobs."""

import statistics
from collections.abc import Iterable, Sequence

from bench.agent.timeline import Span, Timeline, attributed_s
from bench.agent.wire import Call

_SERVICES = {"s3": "S3", "sns": "SNS", "sqs": "SQS", "dynamodb": "DynamoDB"}


def explain(timeline: Timeline, aws_calls: Sequence[Call] = ()) -> str:
    """Say in a line what the gaps were spent on, in milliseconds a gap.

    What no call to AWS is to blame for is the worker's and the model server's, which writes its last answer and reads
    the next request.

    Args:
        timeline: The GPU's.
        aws_calls: What was asked of AWS by a worker that does nothing beside it; each call's time goes to its service.
    """
    gaps = timeline.gaps
    if not gaps:
        return "no gaps"
    spans = {
        name: _spans(call for call in aws_calls if call.name.startswith(f"{service} "))
        for service, name in _SERVICES.items()
    }
    shares = attributed_s([cause for cause in spans.items() if cause[1]], gaps)
    shares["worker and model server"] = shares.pop("")
    parts = ", ".join(f"{name} {seconds * 1000 / len(gaps):.1f}" for name, seconds in shares.items())
    lengths_ms = [gap.seconds * 1000 for gap in gaps]
    longest = max(gaps, key=lambda gap: gap.seconds)
    return (
        f"gaps: median {statistics.median(lengths_ms):.1f} ms, longest {longest.seconds * 1000:.1f} ms "
        f"(before {longest.task}), mean {statistics.mean(lengths_ms):.1f} ms = {parts}"
    )


def _spans(calls: Iterable[Call]) -> list[Span]:
    return [Span(call.asked, call.answered) for call in calls if call.answered is not None]
