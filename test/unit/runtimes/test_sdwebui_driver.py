"""The driver against servers that hang up, and those with checkpoints."""

import base64

import pytest
from aiohttp import web
from driverkit import PNG, client_of, signals, task_of

from jobs.job import Progress
from queue_agent.errors import Rejected, ServerError
from runtimes.sdwebui.driver.call import call_of
from runtimes.sdwebui.driver.executor import SdWebUI
from runtimes.sdwebui.driver.options import Options


async def idle(_request):
    return web.json_response({"progress": 0.0, "state": {"job": ""}})


async def test_a_job_is_interrupted_until_it_has_ended_although_an_interrupt_comes_before_it_begins():
    noted, states = [], ["scripts_txt2img", "scripts_txt2img", ""]

    async def interrupt(_request):
        noted.append("interrupt")
        return web.json_response({})

    async def tell(_request):
        noted.append(states.pop(0))
        return web.json_response({"progress": 0.5, "state": {"job": noted[-1]}})

    async with client_of(web.post("/interrupt", interrupt), web.get("/progress", tell)) as client:
        await SdWebUI(client, dynamic_model=False).interrupt("job", 1)
    assert noted == ["interrupt", "scripts_txt2img"] * 2 + ["interrupt", ""]


OURS, OTHER = "sub/v1-5.safetensors", "other.safetensors"


class Loading:
    """An SD WebUI that loads checkpoints; it names one in its options before it has loaded it.

    Args:
        reloads: What each call of reload-checkpoint answers, and what the options name then.
        title: What they name at first.
        found: The checkpoints that it finds, each time it is told to look for them.
        loaded: What it has, each time it is told to load one.
    """

    def __init__(self, *reloads, title=None, found=(), loaded=()):
        self.reloads, self.found, self.loaded = iter(reloads), iter(found), iter(loaded)
        self.told, self.title, self.listed = [], title, ()

    async def serve(self, request):
        path, status = request.path.removeprefix("/"), 200
        if request.method == "GET":
            models = [{"title": title} for title in self.listed]
            return web.json_response(models if path == "sd-models" else {"sd_model_checkpoint": self.title})
        self.told.append(path)
        if path == "refresh-checkpoints":
            self.listed = next(self.found)
        elif path == "refresh-upscalers":
            status = 404  # not every image has it
        elif path == "reload-checkpoint":
            status, self.title = next(self.reloads)
        elif path == "options":
            assert (await request.json())["sd_model_checkpoint"] == OURS
            self.title = next(self.loaded)
        return web.json_response({}, status=status)


async def told_while_waiting(server, monkeypatch):
    """What a server is told by a driver that waits for its checkpoint, and then once more."""
    monkeypatch.setattr("runtimes.sdwebui.driver.executor._LOADING_PAUSE_S", 0)
    async with client_of(web.route("*", "/{path:.*}", server.serve)) as client:
        driver = SdWebUI(client, dynamic_model=False, checkpoint=OURS)
        await driver.wait_until_ready()
        await driver.wait_until_ready()
    return [path for path in server.told if path not in REFRESHES[1:]]


REFRESHES = [f"refresh-{name}" for name in ("checkpoints", "vae", "loras", "upscalers")]


async def test_the_first_job_waits_until_the_runtimes_checkpoint_is_loaded_and_later_ones_for_an_answer_alone(
    monkeypatch,
):
    server = Loading((500, OURS), (200, f"{OURS} [6ce0161689]"), title=OURS)
    assert await told_while_waiting(server, monkeypatch) == ["reload-checkpoint"] * 2


async def test_a_server_that_was_started_before_its_files_were_there_lists_all_and_loads_its_checkpoint(monkeypatch):
    server = Loading((200, OURS), found=[(), (OTHER, OURS)], loaded=[OURS])
    told = await told_while_waiting(server, monkeypatch)
    assert told == ["refresh-checkpoints", "refresh-checkpoints", "options", "reload-checkpoint"]
    assert server.told[:4] == REFRESHES


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (  # it cannot load ours, and says nothing
            Loading((200, OURS), title=OTHER, found=[(OTHER, OURS)] * 2, loaded=[OTHER, OURS]),
            ["refresh-checkpoints", "options", "refresh-checkpoints", "options", "reload-checkpoint"],
        ),
        (  # it has loaded another one than it named
            Loading((200, OTHER), (200, OURS), title=OURS, found=[(OTHER, OURS)], loaded=[OURS]),
            ["reload-checkpoint", "refresh-checkpoints", "options", "reload-checkpoint"],
        ),
    ],
)
async def test_another_checkpoint_is_not_taken_for_the_runtimes_own(server, told, monkeypatch):
    assert await told_while_waiting(server, monkeypatch) == told


STATE = {"job": "scripts_txt2img", "sampling_step": 48, "sampling_steps": 300}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"progress": 0.17, "state": STATE}, Progress(fraction=0.17, step=48, steps=300, stage="sampling")),
        ({"progress": 0.01, "state": STATE | {"sampling_step": 0}}, Progress(step=0, steps=300, stage="sampling")),
        ({"progress": 0.01, "state": STATE | {"sampling_steps": 0}}, None),
        ({"progress": 0.0, "state": STATE | {"job": ""}}, None),
        ({"progress": "x", "state": ["y"]}, None),
    ],
)
async def test_progress_is_that_of_the_job_that_runs_as_the_server_counts_its_steps(said, expected):
    async def tell(_request):
        return web.json_response(said)

    async with client_of(web.get("/progress", tell)) as client:
        assert await SdWebUI(client, dynamic_model=False).progress("job") == expected


@pytest.mark.parametrize(
    ("image", "job", "expected"),
    [
        (base64.b64encode(PNG).decode(), "scripts_txt2img", PNG),
        (f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "scripts_txt2img", PNG),
        (base64.b64encode(PNG).decode(), "", None),  # of the job before
        *[(image, "scripts_txt2img", None) for image in (None, 7, "")],
    ],
)
async def test_a_preview_is_the_running_jobs_picture_as_it_is_now(image, job, expected):
    async def tell(request):
        assert "skip_current_image" not in request.query
        return web.json_response({"current_image": image, "state": {"job": job}})

    async with client_of(web.get("/progress", tell)) as client:
        assert (await SdWebUI(client, dynamic_model=False).preview("job") or None) == expected


@pytest.mark.parametrize(("hangs_up_in", "asked"), [("drawing", ["draw", "interrupt"]), ("answer", ["draw"])])
async def test_a_job_whose_line_breaks_before_its_answer_is_interrupted_and_no_other_one(hangs_up_in, asked):
    noted = []

    async def draw(request):
        noted.append("draw")
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        if hangs_up_in == "answer":
            await response.prepare(request)
            await response.write(b'{"images": [')
        request.transport.abort()
        return response

    async def interrupt(_request):
        noted.append("interrupt")
        return web.json_response({})

    routes = [web.post("/txt2img", draw), web.post("/interrupt", interrupt), web.get("/progress", idle)]
    async with client_of(*routes) as client:
        driver = SdWebUI(client, dynamic_model=False)
        call = await driver.prepare(task_of({}), None)
        with pytest.raises(ServerError):
            await driver.run(call, "job", 1, signals([]))
    assert noted == asked


MODELS = [
    {"title": f"{name}.safetensors [{digits}]", "model_name": name, "hash": digits, "filename": f"/{name}"}
    for name, digits in (("base", "00000000ab"), ("other", "00000000cd"))
]


async def loaded_for(content, *, dynamic):
    """What a server with two checkpoints, of which the first is loaded, has loaded once a task may be drawn."""
    loaded = MODELS[0]["title"]

    async def serve(request):
        nonlocal loaded
        if request.path == "/sd-models":
            return web.json_response(MODELS)
        if request.path == "/options" and request.method == "POST":
            loaded = (await request.json())["sd_model_checkpoint"]
        return web.json_response({"sd_model_checkpoint": loaded})

    async with client_of(web.route("*", "/{path:.*}", serve)) as client:
        options, call = Options(client, dynamic_model=dynamic, cached_checkpoints=None), call_of(task_of(content))
        await options.use_checkpoints(call.checkpoint, call.other_checkpoints)
    return loaded


@pytest.mark.parametrize(
    ("dynamic", "asked", "words"),
    [
        (False, "other", "serves the checkpoint base"),
        (True, "nosuch", "no checkpoint nosuch; there are: base"),
        (False, "BASE", None),
        (True, "other", None),
    ],
)
@pytest.mark.parametrize("place", ["sd_model_checkpoint", "refiner_checkpoint", "infotext"])
async def test_a_checkpoint_that_the_runtime_has_not_is_refused_wherever_it_is_named(dynamic, asked, words, place):
    content = {place: f"a\nSteps: 2, Seed: 1, Model: {asked}" if place == "infotext" else asked}
    if words:
        with pytest.raises(Rejected, match=words):
            await loaded_for(content, dynamic=dynamic)
    else:
        draws = dynamic and place != "refiner_checkpoint"
        assert (await loaded_for(content, dynamic=dynamic)).startswith("other" if draws else "base")


async def test_a_hash_names_a_checkpoint_too():
    content = {"infotext": "a\nSteps: 2, Seed: 1, Model hash: 00000000cd"}
    assert (await loaded_for(content, dynamic=True)).startswith("other")
    with pytest.raises(Rejected, match="serves the checkpoint base"):
        await loaded_for(content, dynamic=False)
