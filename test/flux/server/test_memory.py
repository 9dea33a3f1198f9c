"""The server and its worker keep nothing of ended jobs."""

import asyncio
from pathlib import Path

JOBS = 96
AT_ONCE = 8
FEW_KIB = 12 * 1024


def resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def draw(server, picture, jobs):
    async def some():
        for _ in range(jobs // AT_ONCE):
            await server.generate(num_inference_steps=1, image=picture(256, 256), width=256, height=256)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def test_memory_stays_flat_over_a_hundred_jobs(serve, picture):
    server = serve(STANDIN_STEP_SECONDS=0)
    (worker,) = server.workers()
    await draw(server, picture, JOBS // 3)
    before = resident_kib(server.process.pid), resident_kib(worker)
    await draw(server, picture, JOBS)
    grown = resident_kib(server.process.pid) - before[0], resident_kib(worker) - before[1]
    assert max(grown) < FEW_KIB
    assert sum(map(len, (await server.http.get("/jobs")).json().values())) == 0
