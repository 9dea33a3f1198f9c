"""Whether docs/flux-api.md shows what the server answers."""

import json
import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs/flux-api.md").read_text(encoding="utf-8")


def shown(key: str) -> dict:
    """The page's example that has a key."""
    blocks = map(json.loads, re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    (found,) = [block for block in blocks if key in block]
    return found


async def test_the_page_shows_every_field_of_a_job_and_no_other(client):
    job_id = await client.post_job()
    await client.end(job_id)
    job, example = await client.job(job_id), shown("position")
    assert example.keys() == job.keys()
    assert example["outputs"][0].keys() == job["outputs"][0].keys()


def test_the_page_shows_every_field_of_health_and_no_other(painter):
    health, example = painter.health(), shown("live")
    assert example.keys() == health.keys()
    assert example["model"].keys() == health["model"].keys()
    assert example["workers"][0].keys() == health["workers"][0].keys()
