"""What Bedrock answers: pictures, a filter's reason, or an error."""

import binascii
import json
from contextlib import suppress
from typing import Any, NamedTuple

import pybase64
from botocore.exceptions import ClientError

from queue_agent.errors import AgentError, ContentFiltered, Rejected, ServerError, ServiceRefused
from queue_agent.ports import Output, Result
from runtimes._http import as_int, as_object, read_json
from runtimes._managed import error_of
from runtimes._wording import shorten
from runtimes.bedrock.driver.request import PreparedCall

_A_PICTURE = "picture.png"
"""Outputs have no names; under a picture's name, bytes that are no picture are the service's error."""
_OPERATORS_WORDS = ("model identifier is invalid", "on-demand throughput isn")
"""In errors of status 400 that are about the runtime's model and no fault of the task."""
_FILTERED = "filter"
"""In "Filter reason: prompt", and in SDXL's "CONTENT_FILTERED"."""
_FINE = "SUCCESS"


class _Drawn(NamedTuple):
    """One picture: in base64 where there is one, with its seed, and why it is missing or blurred."""

    picture: str | None
    seed: int | None
    reason: str | None


def result_of(content: bytes, prepared: PreparedCall, model: str, call_id: str | None) -> Result:
    """Read the pictures of an answer.

    Raises:
        ContentFiltered: The filter rejected the request or the picture; the answer's status is 200 then, too.
        ServerError: It has no pictures for another reason, or cannot be understood.
    """
    drawn = _drawn_in(as_object(read_json(content)))
    reasons = [one.reason for one in drawn if one.reason is not None]
    for reason in reasons:
        if _FILTERED in reason.lower():
            raise ContentFiltered(f"The model's content filter rejected it: {shorten(reason)}.")
    if reasons:
        raise ServerError(f"The model failed: {shorten(reasons[0])}.")
    if not drawn:
        raise ServerError("The model's answer has no picture.")
    return Result(
        outputs=[Output(_bytes_of(one.picture), one.seed, _A_PICTURE) for one in drawn],
        parameters=prepared.body,
        answer={
            "seeds": [one.seed for one in drawn],
            "request_id": call_id,
            "warnings": list(prepared.changes),
        },
        model=model,
    )


def _drawn_in(answer: dict[str, Any]) -> list[_Drawn]:
    """Read {images, seeds, finish_reasons}, or {artifacts: [{base64, seed, finishReason}]} as SDXL's answers were."""
    if artifacts := _list(answer.get("artifacts")):
        found = [as_object(one) for one in artifacts]
        return [_Drawn(one.get("base64"), as_int(one.get("seed")), _reason(one.get("finishReason"))) for one in found]
    images, seeds, reasons = (_list(answer.get(name)) for name in ("images", "seeds", "finish_reasons"))
    count = max(len(images), sum(reason is not None for reason in reasons))

    def at(values: list[Any], index: int) -> Any:
        return values[index] if index < len(values) else None

    return [_Drawn(at(images, n), as_int(at(seeds, n)), _reason(at(reasons, n))) for n in range(count)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _reason(value: Any) -> str | None:
    """Why there is no picture; None where there is one."""
    return None if value is None or value == _FINE else str(value)


def _bytes_of(picture: Any) -> bytes:
    try:
        return pybase64.b64decode(picture, validate=True)
    except (TypeError, ValueError, binascii.Error) as exc:
        raise ServerError("The model's answer holds a picture that is no base64.") from exc


def refusal(exc: ClientError, model: str) -> AgentError:
    """What an error of Bedrock means for the job; an error in the body keeps the model's own words."""
    error = error_of(exc)
    if not isinstance(error, Rejected):
        return error
    words = str(error)
    if any(one in words for one in _OPERATORS_WORDS):
        return ServiceRefused(f"{model} cannot be called here: {shorten(words)}")
    with suppress(ValueError, KeyError, TypeError):
        words = str(json.loads(words)["detail"])
    return Rejected(shorten(words))
