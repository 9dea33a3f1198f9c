import httpx

from configuration.gateway import INTEGRATION_TIMEOUT_S

RUNTIMES = ("comfy", "sdruntime")


def newest_jobs(place, count):
    answer = httpx.get(f"{place.url}/v1/jobs?limit={count}", headers={"x-api-key": place.key}, timeout=60)
    return answer.json()["jobs"]


def test_a_picture_that_takes_longer_than_api_gateway_waits_arrives_once(gateway, set_faults):
    before = {job["job"] for job in newest_jobs(gateway, 100)}
    for runtime in RUNTIMES:
        set_faults(runtime, job_s=INTEGRATION_TIMEOUT_S + 2)
    assert gateway.run("long_waits.py") == [{"by_openai": 1, "by_replicate": 1}]
    made = [job for job in newest_jobs(gateway, 100) if job["job"] not in before]
    assert sorted(job["runtime"] for job in made) == sorted(RUNTIMES)
    assert all(job["timings"]["run_s"] > INTEGRATION_TIMEOUT_S for job in made)
