import asyncio
import statistics
import time

import pytest
from aiohttp import ClientSession, ServerDisconnectedError, web
from yarl import URL

from bench.agent.timeline import Span, Timeline, draw
from bench.agent.wire import ROUND_TRIPS_S, Wire
from bench.agent.workload import ideal_waits_s, poisson_arrivals_s
from bench.figures import Figure, exit_status

PRESIGNED = "X-Amz-Credential=a%2F20260102%2Fus-east-1%2Fs3%2Faws4_request"
SIGNED = {"Authorization": "Credential=a/20260102/eu-west-1/sqs/aws4_request, x", "X-Amz-Target": "AmazonSQS.Send"}


@pytest.mark.parametrize(("limit", "at_least", "is_kept"), [(2, False, True), (1.9, False, False), (2, True, True)])
def test_a_limit_is_held_against_the_median_and_fails_the_long_form_alone(limit, at_least, is_kept):
    figure = Figure("f", [1, 2, 9], "ms", limit, at_least=at_least)
    assert figure.is_kept is is_kept
    assert ("NOT KEPT" in figure.row()) is not is_kept
    assert exit_status([figure], short=False) == (not is_kept)
    assert exit_status([figure], short=True) == 0


def test_a_gpu_is_busy_while_any_job_runs_and_each_gap_names_the_task_that_ended_it():
    line = Timeline([Span(4.5, 5, "task-3"), Span(0, 2, "task-1"), Span(1, 1.5, "task-0"), Span(2, 4, "task-2")])
    assert line.gaps == [Span(4, 4.5, "task-3")]
    assert line.busy_share == 0.9
    assert "task-2: 2.00 s" in draw("A <title>", "", [("GPU", line)])


@pytest.mark.parametrize(
    ("arrivals", "durations", "servers", "waits"),
    [([0, 1, 2], [9, 9, 9], 3, [0, 0, 0]), ([0, 0, 1, 1], [5, 2, 9, 1], 2, [0, 0, 1, 4])],
)
def test_in_an_ideal_queue_the_next_task_goes_to_the_server_that_is_free_first(arrivals, durations, servers, waits):
    assert ideal_waits_s(arrivals, durations, servers) == waits


def test_with_one_server_and_equal_durations_the_mean_wait_is_that_of_theory():
    # M/D/1: rho * s / (2 * (1 - rho))
    count, load = 200_000, 0.7
    waits = ideal_waits_s(poisson_arrivals_s(count, rate=load, seed=1), [1.0] * count, servers=1)
    assert statistics.mean(waits) == pytest.approx(load / (2 * (1 - load)), rel=0.05)


@pytest.fixture
async def upstream():
    """A server that returns the path and body it gets, and hangs up as moto does; /hang never answers."""

    async def echo(request):
        if request.path == "/hang":
            await asyncio.Event().wait()
        return web.Response(body=request.raw_path.encode() + await request.read(), headers={"Connection": "close"})

    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "headers", "round_trip_s"),
    [(f"/b/a%20k?{PRESIGNED}", {}, ROUND_TRIPS_S["s3"]), ("/", SIGNED, ROUND_TRIPS_S["sqs"]), ("/moto-api/", {}, 0)],
)
async def test_a_call_costs_its_services_round_trip_and_every_byte_arrives(upstream, path, headers, round_trip_s):
    body = bytes(range(256)) * 4096
    async with Wire(upstream) as wire, ClientSession() as http:
        url = URL(f"http://127.0.0.1:{wire.port}{path}", encoded=True)
        begin = time.monotonic()
        async with http.put(url, data=body, headers=headers) as response:
            assert await response.read() == path.encode() + body
            assert "Connection" not in response.headers
        assert time.monotonic() - begin >= round_trip_s


async def test_a_call_is_open_until_its_client_hangs_up_and_leaving_the_wire_ends_it(upstream):
    async def open_calls(count):
        while wire.open_calls["sqs Send"] != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async with ClientSession() as http:
        async with Wire(upstream) as wire:
            calls = [asyncio.create_task(http.post(f"http://127.0.0.1:{wire.port}/hang", headers=SIGNED)) for _ in "ab"]
            await asyncio.wait_for(open_calls(2), 60)
            calls[0].cancel()
            await asyncio.wait_for(open_calls(1), 60)
        with pytest.raises(ServerDisconnectedError):
            await asyncio.wait_for(calls[1], 60)
