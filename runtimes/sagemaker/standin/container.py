"""The container behind an endpoint: JumpStart's Stable Diffusion, painted; or another server's ``/invocations``."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
from PIL import Image

from runtimes.standin.control import Control, RanJob
from runtimes.standin.faults import LOOK_S, InjectedError
from runtimes.standin.painter import Brief

_SIDE = 512
_DEFAULT_STEPS = 50
_MAX_SIDE = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerAnswer:
    """What a container answers."""

    status: int
    content_type: str
    body: bytes


class ModelContainer:
    """Runs one request at a time for each of its instances.

    Args:
        control: Faults, painter and the list of jobs.
        url: Where a real ``/invocations`` is; None paints.
    """

    def __init__(self, control: Control, url: str | None) -> None:
        self._control = control
        self._url = url

    async def invoke(self, job: RanJob, body: bytes, content_type: str, accept: str) -> ContainerAnswer:
        """Run a request, and close its job."""
        try:
            answer = await self._run(body, content_type, accept)
        except InjectedError as exc:
            answer = _problem(500, str(exc))
        except asyncio.CancelledError:
            job.close("stopped")
            raise
        job.close("succeeded" if answer.status == 200 else "failed")  # noqa: PLR2004 (HTTP's own number)
        return answer

    async def _run(self, body: bytes, content_type: str, accept: str) -> ContainerAnswer:
        faults = self._control.faults
        await self._control.meet_job()
        while self._control.holds(1):  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(LOOK_S)
        if self._url is not None:
            headers = {"Content-Type": content_type, "Accept": accept}
            async with (
                aiohttp.ClientSession(trust_env=False) as session,
                session.post(self._url, data=body, headers=headers) as answer,
            ):
                return ContainerAnswer(status=answer.status, content_type=answer.content_type, body=await answer.read())
        try:
            request = json.loads(body)
            briefs = _briefs(request)
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            return _problem(400, f"{type(exc).__name__}: {exc}")
        steps = request.get("num_inference_steps") or _DEFAULT_STEPS
        await asyncio.sleep(faults.job_s + faults.step_s * steps)
        return await asyncio.to_thread(self._painted, request, briefs, accept)

    def _painted(self, request: dict[str, Any], briefs: list[Brief], accept: str) -> ContainerAnswer:
        painter = self._control.painter
        pictures = [painter.draw(brief) for brief in briefs]
        if accept.startswith("image/"):
            body = painter.file(pictures[0], "JPEG" if "jpeg" in accept else "PNG")
            return ContainerAnswer(status=200, content_type=accept, body=body)
        if accept.endswith(";jpeg"):
            images: list[Any] = [painter.base64(picture, "JPEG", quality=90) for picture in pictures]
        else:
            images = [_numbers(picture) for picture in pictures]
        answer = {"generated_images": images, "prompt": request["prompt"]}
        return ContainerAnswer(status=200, content_type="application/json", body=json.dumps(answer).encode())


def _problem(status: int, message: str) -> ContainerAnswer:
    body = {"code": status, "type": "InternalServerException", "message": message}
    return ContainerAnswer(status=status, content_type="application/json", body=json.dumps(body).encode())


def _briefs(request: dict[str, Any]) -> list[Brief]:
    """What to draw, by JumpStart's fields."""
    prompts = request["prompt"] if isinstance(request["prompt"], list) else [request["prompt"]]
    width, height = (min(int(request.get(side) or _SIDE), _MAX_SIDE) for side in ("width", "height"))
    if width % 8 or height % 8:
        raise ValueError("`height` and `width` have to be divisible by 8")
    count, seed = int(request.get("num_images_per_prompt") or 1), int(request.get("seed") or 0)
    return [
        Brief(prompt=str(prompt), seed=seed + number, width=width, height=height)
        for prompt in prompts
        for number in range(count)
    ]


def _numbers(picture: Image.Image) -> list[list[list[int]]]:
    """Rows of pixels, as JumpStart's models answer unless ``;jpeg`` is asked for."""
    rgb = picture.convert("RGB")
    data, width = rgb.tobytes(), rgb.width
    pixels = [list(data[at : at + 3]) for at in range(0, len(data), 3)]
    return [pixels[at : at + width] for at in range(0, len(pixels), width)]
