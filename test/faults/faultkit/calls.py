"""The ways in which a model server answers wrongly."""

import base64
import contextlib
import json
import signal
from functools import partial

from faultkit.acts import answer, cut, ended_badly, half_body, hang, instead, reset
from faultkit.beds import Bed
from faultkit.lanes import Case
from faultkit.proxy import Act
from faultkit.servers import kill_worker


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_NO_PICTURE = base64.b64encode(b"this is no picture").decode()
_WEBUI_WORDS = {"error": "RuntimeError", "detail": "", "body": "", "errors": "the proxy's own words"}
_WEBUI_FAULTS = {"detail": [{"loc": ["body", "steps"], "msg": "the proxy's own words", "type": "value_error"}]}
_DISK_FULL = "[Errno 28] No space left on device"
_FLUX_FAULTS = {"detail": [{"field": "request.prompt", "problem": "is the proxy's own word"}]}
_COMFY_WORDS = {"type": "prompt_no_outputs", "message": "the proxy's own words", "details": "", "extra_info": {}}


def _flux_failure(words: str) -> Act:
    """Events that end with a job's failure."""
    ending = {"state": "failed", "error": {"code": "failed", "message": words}}
    return instead(b"event: end\ndata: " + _json(ending) + b"\n\n", "text/event-stream")


ACTS: dict[str, Act] = {
    "500": answer(500, b"500 Internal Server Error\n\nServer got itself in trouble"),
    "502": answer(502, b"<html>Bad Gateway</html>", "text/html"),
    "500 in its words": answer(500, _json(_WEBUI_WORDS), "application/json"),
    "422 in its words": answer(422, _json(_WEBUI_FAULTS), "application/json"),
    "400 in its words": answer(400, _json({"error": _COMFY_WORDS, "node_errors": {}}), "application/json"),
    "404": answer(404),
    "garbage": instead(b"\x00\xff<garbage>"),
    "null": instead(b"null"),
    "a list": instead(b"[1]"),
    "nothing": instead(b""),
    "an empty object": instead(b"{}"),
    "half a body": half_body(),
    "pictures that are none": instead(_json({"images": [_NO_PICTURE], "parameters": {}, "info": "{}"})),
    "reset": reset(),
    "reset after the deed": reset(after_the_deed=True),
    "hangs": hang(),
    "500 of a full disk": answer(
        500, _json({**_WEBUI_WORDS, "error": "OSError", "errors": _DISK_FULL}), "application/json"
    ),
    "an ending by a full disk": ended_badly("SaveImage", "OSError", _DISK_FULL),
    "422 with its field": answer(422, _json(_FLUX_FAULTS), "application/json"),
    "503": answer(503, _json({"detail": "not ready"}), "application/json"),
    "a failure in its words": _flux_failure("the proxy's own words"),
    "a failure by a full disk": _flux_failure(_DISK_FULL),
}


class Trouble(Case):
    """One wrong answer to one call, and how the task must end.

    Args:
        runtime_type: Of the server.
        task: Which task makes the call; see faultkit.beds.
        call: The call, as a shell pattern.
        trouble: A key of ACTS, or "dies" and "dies after the deed", or of FLUX "its worker dies".
        endings: A status or the code of an error; several where either is right.
        lane: Troubles of one lane happen one after the other to one agent.
    """

    def __init__(self, runtime_type, task, call, trouble, *endings, lane):
        super().__init__(f"{runtime_type}: {call.replace('*', 'X')}: {trouble}", f"{runtime_type} {lane}")
        self.runtime_type = runtime_type
        self.task = task
        self.call = call
        self.trouble = trouble
        self.endings = endings or ("succeeded",)

    @contextlib.contextmanager
    def bed(self, kit):
        with kit.runtime(self.runtime_type) as runtime:
            yield Bed(runtime, kit.input_png)

    def run(self, bed):
        return bed.suffer(self)

    def act(self, pod):
        """What is done to the call in a pod."""
        if self.trouble == "its worker dies":
            return cut(partial(kill_worker, pod.server))
        if self.trouble.startswith("dies"):
            return cut(partial(pod.server.send, signal.SIGKILL), after_the_deed=self.trouble != "dies")
        return ACTS[self.trouble]
