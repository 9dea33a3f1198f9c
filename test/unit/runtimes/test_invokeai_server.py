"""InvokeAI's driver and its server: how many jobs it has, what is removed from it, and what is not its own."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from driverkit import JOB, client_of, signals, task_of

from queue_agent.errors import ServerError
from queue_agent.ports import Capacity
from runtimes._queued import server_job_id
from runtimes.invokeai.driver.executor import InvokeAI
from runtimes.invokeai.driver.leftovers import FORGOTTEN
from test.kit.tasks import blank_image

NOTHING = dict.fromkeys(("pending", "in_progress", "waiting", "completed", "failed", "canceled"), 0)


def item(destination, status, *, hours=0.0, origin="sd-on-eks", **more):
    ended = (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    times = {"created_at": ended, "completed_at": None if status in {"pending", "in_progress"} else ended}
    return {"destination": destination, "status": status, "origin": origin, **times, **more}


class Server:
    """Notes what it is told to change; its items are given by their destination."""

    def __init__(self, *items, config=None, devices=("cpu",)):
        self.items = list(items)
        self.config = config or {}
        self.devices = [{"device": device} for device in devices]
        self.told = []
        self.on_enqueue = None

    def counts(self, destination):
        states = [one["status"] for one in self.items if one["destination"] == destination]
        return {**NOTHING, **{state: states.count(state) for state in states}, "total": len(states)}

    async def serve(self, request):
        path, destination = request.path.removeprefix("/api/"), request.query.get("destination")
        if request.method != "GET" and not path.endswith("summaries_by_ids"):
            self.told.append((request.method, path.removeprefix("v1/queue/default/"), destination))
        match path.removeprefix("v1/queue/default/").split("/"):
            case ["v1", "app", "runtime_config"]:
                answer = {"config": self.config}
            case ["v1", "app", "generation_device_options"]:
                answer = self.devices
            case ["counts_by_destination"]:
                answer = self.counts(destination)
            case ["list_all"]:
                answer = [one for one in self.items if one["destination"] == destination]
            case ["item_ids"]:
                answer = {"item_ids": [*range(len(self.items))]}
            case ["item_summaries_by_ids"]:
                answer = [self.items[number] for number in (await request.json())["item_ids"]]
            case ["enqueue_batch"]:
                answer = self.on_enqueue((await request.json())["batch"])
            case _:
                answer = {}
        return web.json_response(answer)


async def with_driver(server, use):
    routes = [web.get("/health", server.serve), web.route("*", "/{path:.*}", server.serve)]
    async with client_of(*routes) as client:
        driver = InvokeAI(client)
        try:
            return await use(driver)
        finally:
            await driver.aclose()


@pytest.mark.parametrize(
    ("config", "devices", "expected"),
    [
        ({"device": "auto", "generation_devices": "auto"}, ("cuda:0", "cuda:1"), 2),
        ({"device": "cuda:1", "generation_devices": "auto"}, ("cuda:0", "cuda:1"), 1),
        ({"device": "cuda:1", "generation_devices": ["cuda:0", "cuda:2", "cuda:3"]}, (), 3),
        ({"device": "auto", "generation_devices": "auto"}, (), 1),
    ],
)
async def test_a_server_has_a_job_for_each_device_it_draws_on_and_the_next_one(config, devices, expected):
    async def capacity(driver):
        await driver.wait_until_ready()
        return driver.capacity

    server = Server(config=config, devices=devices)
    assert await with_driver(server, capacity) == Capacity(devices=expected, ahead=True)


async def test_at_its_start_an_agent_withdraws_what_waits_removes_what_is_forgotten_and_leaves_others_jobs_alone():
    old = FORGOTTEN.total_seconds() / 3600 + 1
    made = {"session": {"results": {"1": {"image": {"image_name": "x.png"}}}}}
    server = Server(
        item("waits", "pending"),
        item("batch", "completed"),
        item("batch", "pending"),
        item("runs", "in_progress", hours=old),
        item("old", "completed", hours=old, **made),
        item("old", "canceled", hours=old),
        item("recent", "completed", hours=old),
        item("recent", "failed", hours=old - 2),
        item("theirs", "pending", origin="workflows"),
        item("theirs too", "completed", hours=old, origin=None),
    )
    await with_driver(server, lambda driver: driver.clear())
    assert server.told == [
        ("PUT", "cancel_by_destination", "waits"),
        ("DELETE", "d/old", None),
        ("POST", "v1/images/delete", None),
    ]


@pytest.mark.parametrize("odd", [3, None, {"destination": ["x"], "origin": "sd-on-eks"}])
async def test_an_odd_list_of_items_keeps_no_agent_from_starting(odd):
    server = Server(item("waits", "pending"))
    server.items.append(odd)
    await with_driver(server, lambda driver: driver.clear())
    assert server.told == [("PUT", "cancel_by_destination", "waits")]


async def test_a_run_that_is_lost_is_removed_before_the_next_job_is_queued():
    first, second = (server_job_id(JOB, claim) for claim in (1, 2))
    server = Server()

    def enqueue(batch):
        server.items.append(item(batch["destination"], "canceled" if batch["destination"] == first else "completed"))
        return {"enqueued": 1}

    async def use(driver):
        driver._events.wait_until_connected = lambda _: asyncio.sleep(0)
        driver._result = lambda *_: asyncio.sleep(0, "drawn")
        with pytest.raises(ServerError, match="was restarted"):
            await run_claim(driver, 1)
        return await run_claim(driver, 2)

    async def run_claim(driver, claim):
        session = await driver.prepare(task_of({"nodes": {"a": blank_image()}}, "pipeline"), None)
        return await driver.run(session, JOB, claim, signals([]))

    server.on_enqueue = enqueue
    assert await with_driver(server, use) == "drawn"
    assert [(path, destination) for _, path, destination in server.told] == [
        ("enqueue_batch", None),
        ("cancel_by_destination", first),
        (f"d/{first}", None),
        ("enqueue_batch", None),
    ]
    assert server.counts(second)["completed"] == 1
