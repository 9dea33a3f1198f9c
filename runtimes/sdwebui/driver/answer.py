"""SD WebUI's answers: pictures, and errors in its own words."""

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from queue_agent.errors import AgentError, ExecutionFailed, NoOutput, Rejected, ServerError
from queue_agent.media import identify
from queue_agent.ports import Output, Result
from runtimes._http import Answer, AnswerStream, as_object, read_json
from runtimes._wording import is_out_of_room, shorten
from runtimes.sdwebui.checkpoints import infotext_pairs
from runtimes.sdwebui.driver.sieve import PICTURE_KINDS, Sieve

_NOT_OF_THE_TASK = frozenset({401, 403, 407, 408, 429, 502, 503, 504})
_MAX_SEED_DIGITS = 20


async def result_of(answer: AnswerStream) -> Result:
    """Read the answer to a call; its pictures are decoded as they arrive.

    Raises:
        AgentError: It is an error, has no pictures, or cannot be understood.
    """
    if answer.status != HTTPStatus.OK:
        raise error_of(Answer(answer.status, b"".join([chunk async for chunk in answer.chunks])))
    sieve = Sieve()
    async for chunk in answer.chunks:
        sieve.feed(chunk)
    body = read_json(bytes(sieve.text))
    if not isinstance(body, dict):
        raise ServerError("The model server's response is not an object.")
    info = _info(body.pop("info", None))
    encoded = body.pop("images", None)
    if encoded is None:
        encoded = [image] if (image := body.pop("image", None)) else []
    if not isinstance(encoded, list):
        raise ServerError("The model server's response has no list of pictures.")
    seeds = _seeds(info, len(encoded))
    shown = encoded[len(encoded) - len(seeds) :]
    outputs = [Output(_picture(image, sieve.pictures), seed) for image, seed in zip(shown, seeds, strict=True)]
    if not outputs:
        raise NoOutput("The model server returned no picture.")
    model = info.get("sd_model_name")
    return Result(
        outputs=outputs,
        parameters=as_object(body.pop("parameters", None)),
        answer={**body, "info": info} if info else body,
        model=model if isinstance(model, str) else None,
    )


def error_of(answer: Answer) -> AgentError:
    """Read an error answer.

    SD WebUI answers nearly all errors as 500 ``{error, detail, body, errors}``, its validation's as 422
    ``{detail: [{loc, msg}]}``.
    """
    status = answer.status
    body = answer.json_or_none()
    if not isinstance(body, dict) or _is_anothers(status, body):
        return ServerError(f"The model server answers {status}.")
    detail = body.get("detail")
    if isinstance(detail, list):
        words = "; ".join(
            f"{'.'.join(map(str, loc if isinstance(loc := entry.get('loc'), list) else ()))}: {entry.get('msg')}"
            for entry in detail
            if isinstance(entry, dict)
        )
    else:
        words = str(body.get("errors") or detail or body.get("error") or f"error {status}")
    kind = str(body.get("error") or "")
    if is_out_of_room(f"{kind} {words}"):
        return ServerError(f"The model server is out of memory or disk: {shorten(words)}")
    prefix = f"{kind}: " if kind and kind != "HTTPException" else ""
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR or kind == "HTTPException"
    return (Rejected if refused else ExecutionFailed)(shorten(prefix + words))


def _is_anothers(status: int, body: Mapping[str, Any]) -> bool:
    """Whether an error comes from the server or a proxy in front of it, and not from the task."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and "error" not in body:
        return True
    return status in _NOT_OF_THE_TASK or body == {"detail": "Not Found"}


def _info(text: Any) -> dict[str, Any]:
    """What the server says of its pictures; a NaN from an extension becomes null, as in ``parameters``."""
    if isinstance(text, str):
        text = Answer(HTTPStatus.OK, text.encode(errors="surrogatepass")).json_or_none()
    return as_object(text)


def _seeds(info: Mapping[str, Any], images: int) -> list[int | None]:
    """The seed of each picture that counts, None where it is unknown.

    A grid may stand before the first picture. It is one only if there are more pictures than seeds: an extension may
    have put an animation in the place of all of them.
    """
    seeds, texts, first = info.get("all_seeds"), info.get("infotexts"), info.get("index_of_first_image")
    seeds = seeds if isinstance(seeds, list) else []
    first = first if isinstance(first, int) and len(seeds) < images and 0 <= first < images else 0
    texts = texts[first:] if isinstance(texts, list) and len(texts) == images else []
    return [_seed(index, seeds, texts) for index in range(images - first)]


def _seed(index: int, seeds: list[Any], texts: list[Any]) -> int | None:
    """A script may leave the -1 that was asked for among the seeds; the picture's infotext has the one it drew with."""
    if index < len(seeds) and isinstance(seeds[index], int) and seeds[index] >= 0:
        return int(seeds[index])
    told = infotext_pairs(texts[index]).get("Seed", "") if index < len(texts) and isinstance(texts[index], str) else ""
    return int(told) if told.isdecimal() and len(told) <= _MAX_SEED_DIGITS else None


def _picture(image: Any, pictures: Mapping[str, bytes]) -> bytes:
    """A picture that was decoded as it arrived, by its name, or one so small that it is still as it came."""
    data = pictures.get(image) if isinstance(image, str) else None
    if data is None:
        try:
            data = base64.b64decode(str(image).rpartition("base64,")[2], validate=True)
        except binascii.Error as exc:
            raise ServerError("The model server returned a picture that is not base64.") from exc
    if identify(data).kind not in PICTURE_KINDS:
        raise ServerError("The model server returned a file that is not a picture.")
    return data
