"""How a library begins, and what is left of it when its process is killed."""

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from test.integration.icons.conftest import SHELLS, IconApi

ASGI = SHELLS["asgi"]


def begun(api):
    """All icons, once the starter icons are there; until then the API asks callers to come again."""
    while (answer := api.call("GET", "/icons?limit=1000")).status_code == 503:
        assert (answer.json()["code"], answer.headers["retry-after"]) == ("starting", "2")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_empty_library_begins_with_the_starter_icons_however_many_ask_first(kit, shell):
    with kit.rig("sdwebui") as rig:
        api = IconApi(rig, shell, starter=True)
        with ThreadPoolExecutor(4) as callers:
            pages = list(callers.map(lambda _: begun(api), range(4)))
        assert {len(page["icons"]) for page in pages} == {541}
        icon = api.resolve("购物车图标")
        assert (icon["key"], icon["format"], icon["drawn"]) == ("shopping-cart-001", "svg", False)
        assert "<path" in api.fetch(icon["url"]).text
        indexes = {key.split("/")[2] for key in keys(rig) if key.startswith("_icons/indexes/")}
        assert len(indexes) == 1


def test_a_library_that_was_emptied_stays_empty(kit):
    with kit.rig("sdwebui") as rig:
        api = IconApi(rig, ASGI, starter=True)
        for icon in begun(api)["icons"][:3]:
            api.call("DELETE", f"/icons/{icon['key']}", key="admin-key")
        assert len(IconApi(rig, ASGI, starter=True).get("/icons?limit=1000")["icons"]) == 538


def test_a_library_that_has_lost_its_index_is_indexed_again_and_not_replaced_by_the_starter_icons(kit):
    with kit.rig("sdwebui") as rig:
        library = [{"key": "cart", "description": "Shopping cart icon", "s3_url": "https://a.example/b.svg"}]
        rig.aws.s3.put_object(Bucket=rig.bucket, Key="_icons/library.json", Body=json.dumps(library).encode())
        api = IconApi(rig, ASGI, starter=True)
        assert api.resolve("shopping cart")["key"] == "cart"
        assert [icon["key"] for icon in api.get("/icons")["icons"]] == ["cart"]


def test_a_damaged_library_is_named_in_the_log_and_takes_nothing_else_down(kit):
    with kit.rig("sdwebui") as rig:
        rig.aws.s3.put_object(Bucket=rig.bucket, Key="_icons/current.json", Body=b"[")
        api = IconApi(rig, ASGI, starter=True)
        assert api.call("GET", "/icons").status_code == 500
        assert "current.json of the icon library cannot be read" in api.door.process.log
        assert api.call("GET", "/jobs").status_code == 200
        rig.aws.s3.delete_object(Bucket=rig.bucket, Key="_icons/current.json")
        assert len(begun(api)["icons"]) == 541


@pytest.mark.parametrize("delay_s", [0, 0.05, 0.2])
def test_a_process_that_is_killed_while_a_picture_comes_in_leaves_one_icon_to_the_next(kit, delay_s):
    with kit.rig("sdwebui") as rig:
        api = IconApi(rig, ASGI)
        job = api.resolve("a red balloon", 202, wait=0)["job"]
        with ThreadPoolExecutor(1) as callers:
            waiting = callers.submit(api.call, "POST", "/icons/resolve", {"query": "a red balloon", "wait": 25})
            api.finish(job)
            time.sleep(delay_s)
            api.door.process.kill()
            with contextlib.suppress(httpx.HTTPError):  # killed before it could answer
                assert waiting.result().status_code == 200
        again = IconApi(rig, ASGI)
        icon = again.resolve("a red balloon")
        assert again.fetch(icon["url"]).content.startswith(b"\x89PNG")
        assert again.post("search", {"query": "a red balloon"})["accepted"] == icon["key"]
        assert [one["key"] for one in again.get("/icons")["icons"]] == [icon["key"]]
        assert len(again.get("/jobs")["jobs"]) == 1


def keys(rig):
    pages = rig.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=rig.bucket)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]
