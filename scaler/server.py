"""The service that KEDA asks: how many pods a runtime should have, as JSON over HTTP."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.field_errors import field_errors_of
from scaler.demand import Decision, Reading, Tracker
from scaler.policy import Limits
from scaler.readings import ReadingError, RuntimeReadings
from scaler.settings import ScalerSettingsError

logger = logging.getLogger(__name__)

_SHARED_S = 1.0
"""How long a decision serves: KEDA asks for itself, and again whenever the autoscaler asks KEDA."""
_STOP_S = 1.0


class Question(BaseModel):
    """The settings of a runtime, which come with each question: its ScaledObject has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_pods: Annotated[int, Field(alias="min", ge=0)]
    max_pods: Annotated[int, Field(alias="max", ge=1)]
    target_wait_s: Annotated[float, Field(alias="targetWaitSeconds", gt=0, allow_inf_nan=False)]
    seconds_per_job: Annotated[float, Field(alias="secondsPerJob", gt=0, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.min_pods > self.max_pods:
            raise ValueError("min must not be above max")
        return self

    @property
    def limits(self) -> Limits:
        """What the policy heeds of it."""
        return Limits(target_wait_s=self.target_wait_s, min_pods=self.min_pods, max_pods=self.max_pods)


class ScaledRuntime:
    """Decides for one runtime, with a reading for each question and what earlier readings have told."""

    def __init__(self, name: str, readings: RuntimeReadings) -> None:
        self._name = name
        self._readings = readings
        self._one_at_a_time = asyncio.Lock()
        self._question: Question | None = None
        self._tracker: Tracker | None = None
        self._decision: Decision | None = None
        self._decided_s = 0.0
        self._failure: ReadingError | None = None
        self._failed_s = 0.0

    async def decide(self, question: Question) -> Decision:
        """Say how many pods there should be; ReadingError if that cannot be seen.

        With other settings than those of the last question the past counts no more. Who has waited while a reading
        failed gets that failure: KEDA does not wait for another one.
        """
        now_s = asyncio.get_running_loop().time()
        async with self._one_at_a_time:
            if self._failure is not None and now_s < self._failed_s:
                raise ReadingError(str(self._failure))
            if question != self._question or self._tracker is None:
                self._tracker = Tracker(question.limits, job_s=question.seconds_per_job)
                self._question, self._decision = question, None
            if self._decision is None or now_s >= self._decided_s + _SHARED_S:
                decision = self._tracker.decide(await self._read())
                self._decided_s = asyncio.get_running_loop().time()
                if self._decision is None or decision.pods != self._decision.pods:
                    _log(self._name, decision)
                self._decision = decision
            return self._decision

    async def _read(self) -> Reading:
        try:
            reading = await self._readings.read()
        except ReadingError as exc:
            if self._failure is None:
                logger.warning("%s: %s", self._name, exc)
            self._failure, self._failed_s = exc, asyncio.get_running_loop().time()
            raise
        if self._failure is not None:
            logger.warning("%s can be read again", self._name)
        self._failure = None
        return reading


@asynccontextmanager
async def serve(readings: Mapping[str, RuntimeReadings], *, port: int) -> AsyncIterator[int]:
    """Answer for as long as the context lasts; yields the port listened on (0 is any free one).

    GET /runtimes/NAME?min=…&max=…&targetWaitSeconds=…&secondsPerJob=… answers ``pods``, and for people what that
    follows from; 404 for a runtime that it does not know, 400 for settings that make no sense, 503 while queue or table
    cannot be read. GET /health answers 200 and reads nothing.

    Raises:
        ScalerSettingsError: The port is taken.
    """
    runtimes = {name: ScaledRuntime(name, one) for name, one in readings.items()}

    async def health(_: web.Request) -> web.Response:
        return _json(HTTPStatus.OK, {"status": "alive"})

    async def pods(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in runtimes:
            return _json(HTTPStatus.NOT_FOUND, {"error": f"There is no such runtime; there are {', '.join(runtimes)}."})
        try:
            question = Question.model_validate(dict(request.query))
        except ValidationError as exc:
            errors = field_errors_of(exc, Question, dict(request.query))
            words = "; ".join(f"{one.pointer}: {one.detail}" for one in errors)
            return _json(HTTPStatus.BAD_REQUEST, {"error": words})
        try:
            decision = await runtimes[name].decide(question)
        except ReadingError as exc:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(exc)})
        demand = decision.demand._asdict()
        return _json(HTTPStatus.OK, {"pods": decision.pods, **demand, "flow": asdict(decision.demand.flow)})

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/runtimes/{name}", pods)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, None, port).start()
        except OSError as exc:
            raise ScalerSettingsError(f"PORT={port} cannot be listened on: {exc}") from exc
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _log(runtime: str, decision: Decision) -> None:
    demand = decision.demand
    words = "%s: wants %d, for %.0f s of waiting work and %d running jobs; %d pods are ready, %d boot"
    logger.info(words, runtime, decision.pods, demand.waiting_s, demand.running, demand.ready, demand.booting)


def _json(status: HTTPStatus, fields: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, text=json.dumps(fields), content_type="application/json")
