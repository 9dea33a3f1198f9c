"""InvokeModel as Amazon Bedrock answers it: errors, filters, throttling and latency, and a painter in place of models.

AWS_ENDPOINT_URL_BEDROCK_RUNTIME leads boto3 and the agent here.
"""

import asyncio
import json
import re
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from PIL import Image

from runtimes.bedrock.families import MAX_BODY_BYTES, BedrockFamily
from runtimes.bedrock.standin import errors
from runtimes.bedrock.standin.bodies import check_body, family_of_model, read_body
from runtimes.bedrock.standin.drawing import draw, seed_of
from runtimes.bedrock.standin.embedding import TITAN, embed
from runtimes.standin.control import Control, RanJob
from runtimes.standin.faults import InjectedError, NoMemoryError

FINISHES_JOBS = True

_REGION = re.compile(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/bedrock/aws4_request")
_FILTERED_WORDS = {
    "Filter reason: prompt": ("nude", "gore", "bomb-making"),
    "Filter reason: output image": ("filtered-output",),
    "Inference error": ("inference-error",),
}
"""Words in prompts, and the reasons that they lead to; the real filter is a model, and varies from call to call."""
_MINUTE_S = 60.0
_FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


class Models:
    """Answers calls; its faults and jobs are in a Control."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._calls: deque[float] = deque()

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer InvokeModel."""
        start_s = time.monotonic()
        model = request.match_info["model"]
        job = self._control.open_job(str(uuid.uuid4()), model)
        try:
            answer = await self._answer(request, model, job)
        except errors.ServiceError as exc:
            job.close(exc.code)
            return exc.response()
        headers = {
            "x-amzn-RequestId": job.id,
            "X-Amzn-Bedrock-Invocation-Latency": str(round(1000 * (time.monotonic() - start_s))),
        }
        job.close("done")
        return web.Response(body=answer, content_type="application/json", headers=headers)

    async def _answer(self, request: web.Request, model: str, job: RanJob) -> bytes:
        self._throttle()
        if self._control.take("deny_jobs"):
            raise errors.denied(model)
        content = await request.read()
        if model == TITAN:
            return json.dumps(await asyncio.to_thread(embed, read_body(content))).encode()
        region = _REGION.search(request.headers.get("Authorization", ""))
        family = family_of_model(model, region[1] if region else None)
        if len(content) > MAX_BODY_BYTES:
            raise errors.invalid("1 validation error detected: Value at 'body' failed to satisfy constraint: length")
        body = read_body(content)
        pictures = await asyncio.to_thread(check_body, body, family)
        await self._take_time()
        if reason := _filtered(body):
            job.kind += f" {reason}"
            return json.dumps({"finish_reasons": [reason]}).encode()
        return await asyncio.to_thread(self._drawn, body, pictures, family)

    def _drawn(self, body: Mapping[str, Any], pictures: Mapping[str, Image.Image], family: BedrockFamily) -> bytes:
        seed, painter = seed_of(body), self._control.painter
        picture = draw(body, pictures, family, seed, painter)
        form = _FORMATS[body.get("output_format", "png")]
        image = painter.base64(picture.convert("RGB") if form == "JPEG" else picture, form)
        return json.dumps({"seeds": [seed], "finish_reasons": [None], "images": [image]}).encode()

    def _throttle(self) -> None:
        """Refuse the calls that a fault or the quota of calls a minute refuses."""
        now_s, most = time.monotonic(), self._control.faults.calls_per_minute
        while self._calls and self._calls[0] <= now_s - _MINUTE_S:
            self._calls.popleft()
        if self._control.take("throttle_jobs") or (most and len(self._calls) >= most):
            raise errors.throttled()
        self._calls.append(now_s)

    async def _take_time(self) -> None:
        """Wait as long as a picture takes, or hang or fail as the faults say."""
        try:
            await self._control.meet_job()
        except NoMemoryError:
            raise errors.model_failed() from None
        except InjectedError:
            raise errors.failed() from None
        await asyncio.sleep(self._control.faults.job_s)


def _filtered(body: Mapping[str, Any]) -> str | None:
    prompt = str(body.get("prompt", "")).lower()
    found = (reason for reason, words in _FILTERED_WORDS.items() if any(word in prompt for word in words))
    return next(found, None)


def build(control: Control) -> web.Application:
    """Make the application."""
    app = web.Application(client_max_size=2 * MAX_BODY_BYTES)
    app.add_routes([web.post("/model/{model}/invoke", Models(control).invoke)])
    return app
