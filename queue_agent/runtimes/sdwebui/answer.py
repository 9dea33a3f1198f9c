"""SD WebUI's answers: pictures, and errors in its own words."""

import base64
import binascii
from typing import Any

import httpx

from contract import strict_json
from queue_agent.errors import AgentError, ExecutionFailed, ModelServerFault, NoOutput, Rejected
from queue_agent.media import identify
from queue_agent.ports import Output, Result
from queue_agent.runtimes.client import read_json
from queue_agent.runtimes.wording import is_out_of_memory, shorten


def result_of(response: httpx.Response) -> Result:
    """Read the answer to a call.

    Raises:
        AgentError: It is an error, holds no pictures, or makes no sense.
    """
    if response.status_code != httpx.codes.OK:
        raise fault_of(response)
    body = read_json(response)
    if not isinstance(body, dict):
        raise ModelServerFault("The model server's answer is no object.")
    info = _info(body.pop("info", None))
    encoded = body.pop("images", None)
    if encoded is None:
        encoded = [image] if (image := body.pop("image", None)) else []
    first = info.get("index_of_first_image", 0)  # a grid may stand before it
    seeds = info.get("all_seeds") or []
    outputs = [
        Output(_decode(image), seeds[index] if index < len(seeds) else None)
        for index, image in enumerate(encoded[first if isinstance(first, int) else 0 :])
    ]
    if not outputs:
        raise NoOutput("The model server answered without a picture.")
    parameters = body.pop("parameters", None) or {}
    answer = {**body, "info": info} if info else body
    return Result(outputs=outputs, parameters=parameters, answer=answer, model=info.get("sd_model_name"))


def fault_of(response: httpx.Response) -> AgentError:
    """Read an error answer.

    SD WebUI answers nearly all errors as 500 ``{error, detail, body, errors}``, its validation's as 422
    ``{detail: [{loc, msg}]}``.
    """
    status = response.status_code
    try:
        body = strict_json.loads(response.content)
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
    if is_out_of_memory(f"{kind} {words}"):
        return ModelServerFault(f"The model server is out of memory: {shorten(words)}")
    prefix = f"{kind}: " if kind and kind != "HTTPException" else ""
    refused = httpx.codes.is_client_error(status) or kind == "HTTPException"
    return (Rejected if refused else ExecutionFailed)(shorten(prefix + words))


def _info(text: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        info = strict_json.loads(text)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def _decode(image: Any) -> bytes:
    try:
        data = base64.b64decode(str(image).rpartition("base64,")[2], validate=True)
    except binascii.Error as exc:
        raise ModelServerFault("The model server's answer holds a picture that is no base64.") from exc
    if identify(data).kind not in {"image", "video"}:
        raise ModelServerFault("The model server's answer holds a picture that is none.")
    return data
