"""SD WebUI's answers: pictures, and errors in its own words."""

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from contract import strict_json
from queue_agent.errors import AgentError, ExecutionFailed, ModelServerFault, NoOutput, Rejected
from queue_agent.media import identify
from queue_agent.ports import Output, Result
from queue_agent.runtimes.client import Answer, AnswerStream, read_json
from queue_agent.runtimes.sdwebui.sieve import PICTURE_KINDS, Sieve
from queue_agent.runtimes.wording import is_out_of_room, shorten


async def result_of(answer: AnswerStream) -> Result:
    """Read the answer to a call; its pictures are decoded as they arrive.

    Raises:
        AgentError: It is an error, holds no pictures, or makes no sense.
    """
    if answer.status != HTTPStatus.OK:
        raise fault_of(Answer(answer.status, b"".join([chunk async for chunk in answer.chunks])))
    sieve = Sieve()
    async for chunk in answer.chunks:
        sieve.feed(chunk)
    body = read_json(bytes(sieve.text))
    if not isinstance(body, dict):
        raise ModelServerFault("The model server's answer is no object.")
    info = _info(body.pop("info", None))
    encoded = body.pop("images", None)
    if encoded is None:
        encoded = [image] if (image := body.pop("image", None)) else []
    first = info.get("index_of_first_image", 0)  # a grid may stand before it
    seeds = info.get("all_seeds") or []
    outputs = [
        Output(_picture(image, sieve.pictures), seeds[index] if index < len(seeds) else None)
        for index, image in enumerate(encoded[first if isinstance(first, int) else 0 :])
    ]
    if not outputs:
        raise NoOutput("The model server answered without a picture.")
    parameters = body.pop("parameters", None) or {}
    rest = {**body, "info": info} if info else body
    return Result(outputs=outputs, parameters=parameters, answer=rest, model=info.get("sd_model_name"))


def fault_of(answer: Answer) -> AgentError:
    """Read an error answer.

    SD WebUI answers nearly all errors as 500 ``{error, detail, body, errors}``, its validation's as 422
    ``{detail: [{loc, msg}]}``.
    """
    status = answer.status
    try:
        body = strict_json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or status in {401, 403, 502, 503, 504} or body == {"detail": "Not Found"}:
        return ModelServerFault(f"The model server answers {status}.")
    detail = body.get("detail")
    if isinstance(detail, list):
        words = "; ".join(
            f"{'.'.join(map(str, entry.get('loc', ())))}: {entry.get('msg')}"
            for entry in detail
            if isinstance(entry, dict)
        )
    else:
        words = str(body.get("errors") or detail or body.get("error") or f"error {status}")
    kind = str(body.get("error") or "")
    if is_out_of_room(f"{kind} {words}"):
        return ModelServerFault(f"The model server is out of memory or disk: {shorten(words)}")
    prefix = f"{kind}: " if kind and kind != "HTTPException" else ""
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR or kind == "HTTPException"
    return (Rejected if refused else ExecutionFailed)(shorten(prefix + words))


def _info(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        info = strict_json.loads(text)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def _picture(image: Any, pictures: Mapping[str, bytes]) -> bytes:
    """A picture that was decoded as it arrived, by its name, or one so small that it is still as it came."""
    data = pictures.get(image) if isinstance(image, str) else None
    if data is None:
        try:
            data = base64.b64decode(str(image).rpartition("base64,")[2], validate=True)
        except binascii.Error as exc:
            raise ModelServerFault("The model server's answer holds a picture that is no base64.") from exc
    if identify(data).kind not in PICTURE_KINDS:
        raise ModelServerFault("The model server's answer holds a picture that is none.")
    return data
