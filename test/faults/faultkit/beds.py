"""An agent with its model server behind a proxy, and tasks that make each of its calls."""

import base64
import itertools
import signal

from aiohttp import web
from faultkit.audit import check_endings
from faultkit.processes import wait_for
from faultkit.proxy import Call, FaultProxy
from faultkit.runtime import content_of

EXECUTION_TIMEOUT_S = "8"
"""Above the 5 s in which a websocket must be open."""
TOLD_WITHIN_S = 90
ASKED_ONCE = ("upscalers", "object_info")
"""What an agent may ask a server only once."""


def name_call(request: web.BaseRequest, _: bytes) -> Call:
    """Name a request by method and path."""
    return Call(name=f"{request.method} {request.path}", path=request.path)


def model_proxy(network, upstream: str) -> FaultProxy:
    """A proxy before a model server."""
    return FaultProxy(network, upstream, name_call)


def task_of(runtime, kind, number, image):
    """Content and metadata of a task that makes the calls in question."""
    content = content_of(runtime.type, seed=number)
    if kind == "switch":
        checkpoint = ("a.safetensors", "b.ckpt")[number % 2]
        content["alwayson_scripts"] = {"sd_model_checkpoint": checkpoint}
        content["override_settings"] = {"CLIP_stop_at_last_layers": 2}
    if kind == "upscale":
        encoded = base64.b64encode(image).decode()
        return {"image": encoded, "upscaler_1": "lanczos", "upscaling_resize": 1}, {"tasktype": "extra-single-image"}
    if kind == "link":
        link = runtime.upload(f"in/{number}.png", image)
        if runtime.type == "sdwebui":
            return {**content, "init_images": [link]}, {"tasktype": "image-to-image"}
        if runtime.type == "flux":
            return {**content, "image_url": link}, {"tasktype": "image-to-image"}
        loaded = {"class_type": "LoadImage", "inputs": {"image": link}}
        saved = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"x{number}"}}
        return {"1": loaded, "2": saved}, {}
    return content, {}


class Bed:
    """One agent with its model server, to which one trouble after the other happens."""

    def __init__(self, runtime, image):
        self.runtime = runtime
        self._image = image
        self._numbers = itertools.count()
        self.pod = runtime.pod(server_proxy=model_proxy, EXECUTION_TIMEOUT_S=EXECUTION_TIMEOUT_S).start()
        self.pod.keep_alive()

    def suffer(self, trouble):
        """Let a trouble happen to a task; returns the task's status or the code of its error."""
        number = next(self._numbers)
        if any(name in trouble.call for name in ASKED_ONCE):
            self._restart_agent()
        rule = self.pod.line.rule(trouble.call, trouble.act(self.pod), times=1)
        if "/ws" in trouble.call:
            # The agent has its socket already; a new server makes it open another.
            self.pod.server.send(signal.SIGKILL)
        content, metadata = task_of(self.runtime, trouble.task, number, self._image)
        task_id = self.runtime.submit(content=content, metadata=metadata)
        try:
            self.runtime.wait_until_all_are_told(TOLD_WITHIN_S)
        finally:
            self.pod.line.lift()
        assert rule.hits == 1
        assert set(self.pod.agent.exits) <= {-signal.SIGKILL}, "the agent ended by itself"
        (notice,) = self.runtime.notices(task_id)
        check_endings(self.runtime, only=task_id, failed=() if notice["result"] else (task_id,))
        return notice.get("error", {}).get("code", notice["status"])

    def _restart_agent(self):
        calls = self.pod.aws.count("sqs:ReceiveMessage")
        self.pod.agent.send(signal.SIGKILL)
        wait_for(lambda: self.pod.aws.count("sqs:ReceiveMessage") > calls, self.runtime.story)
