"""What API v1 asks of the jobs table: no request reads more of it than its tenant's or its runtime's part."""

import json
import re

from api.faces.v1.face import ROUTES
from contract.deadlines import DEFAULT_DEADLINES
from jobs.schema import QUEUE_SHARDS, agents_of
from test.faults.parts import TENANT
from test.kit.tasks import WORKFLOW

_WHOLE = {"Scan", "ExecuteStatement", "BatchExecuteStatement"}
_OF_A_PART = re.compile(r"#(tenant|queue) = :(tenant|queue)\b")


def walk(platform):
    """Use every route; returns those that were used, by method and path."""
    used = set()

    def ask(method, template, body=None, *, expect=(200, 202), query=None, is_admin=False, **names):
        path = template
        for name, value in names.items():
            path = path.replace(f"{{{name}}}", value)
        status, answer = platform.ask(method, path, body, is_admin=is_admin, **(query or {}))
        assert status in expect, f"{method} {path}: {status} {answer}"
        used.add((method, template))
        return answer

    job = ask("POST", "/jobs", platform.body())["job"]
    batch = ask("POST", "/batches", {"jobs": [platform.body(), platform.body()]})["batch"]
    ask("GET", "/batches/{batch}", batch=batch)
    for query in ({}, {"state": "queued", "limit": "1"}, {"task_id": "a"}, {"runtime": platform.name}):
        ask("GET", "/jobs", query=query)
    for path in ("", "/events", "/request"):
        ask("GET", f"/jobs/{{job}}{path}", job=job)
    ask("POST", "/jobs/{job}/cancel", {}, job=job)
    ask("POST", "/jobs/{job}/retry", {}, job=job)
    ended = platform.submit()
    platform.pass_time()
    ask("GET", "/jobs/{job}/outputs/{number}", expect=(303,), job=ended, number="1")
    ask("GET", "/jobs/{job}/preview", expect=(404,), job=ended)
    link = ask("GET", "/jobs/{job}", job=ended)["images"][0]["url"].partition("/v1/outputs/")[2]
    token, _, name = link.partition("/")
    ask("GET", "/outputs/{token}/{name}", expect=(303,), token=token, name=name)
    for path in ("", "/{name}", "/{name}/schema"):
        ask("GET", f"/runtimes{path}", name=platform.name)
    draft = {"workflow": WORKFLOW}
    ask("POST", "/runtimes/{name}/workflow-inputs", draft, expect=(404,), name=platform.name)
    for query in ({}, {"by": "day"}):
        ask("GET", "/usage", query=query)
    file = ask("POST", "/files", {"name": "a.png", "size": 3}, expect=(201,))["file"]
    ask("GET", "/files/{file}", expect=(404,), file=file)
    ask("DELETE", "/files/{file}", expect=(204,), file=file)
    ask("PUT", "/workflows/{name}", {"workflow": WORKFLOW}, name="sketch")
    for path in ("", "/{name}", "/{name}/schema"):
        ask("GET", f"/workflows{path}", name="sketch")
    ask("DELETE", "/workflows/{name}", expect=(204,), name="sketch")
    ask("GET", "/key")
    ask("GET", "/webhooks/secret")
    ask("POST", "/webhooks/secret/rotate", {})
    for query in ({}, {"job": job}):
        (row, *_) = ask("GET", "/webhooks/deliveries", query=query)["deliveries"]
    ask("POST", "/webhooks/deliveries/{delivery}/replay", {}, delivery=row["id"])
    use_pictures_and_icons(ask)
    for path in ("/openapi.json", "/docs"):
        ask("GET", path)
    return used


def use_pictures_and_icons(ask):
    icon = {"key": "shop/cart", "description": "购物车", "s3_url": "https://icons.example/cart.svg"}
    ask("GET", "/pictures", query={"prompt": "a fox"})
    link = ask("POST", "/pictures/links", {"prompt": "a fox"})["url"]
    ask("GET", "/pictures/link", expect=(303,), query={"token": link.partition("token=")[2]})
    ask("POST", "/icons/import", [icon], is_admin=True)
    ask("POST", "/icons/rebuild", is_admin=True)
    ask(
        "PUT",
        "/icons/{key...}",
        {"description": "购物车", "s3_url": icon["s3_url"]},
        is_admin=True,
        **{"key...": "shop/cart"},
    )
    ask("GET", "/icons/{key...}", **{"key...": "shop/cart"})
    ask("GET", "/icons")
    ask("POST", "/icons/search", {"query": "购物车"})
    for query in ("购物车", "a purple dragon"):
        ask("POST", "/icons/resolve", {"query": query})
    ask("GET", "/icons/report", is_admin=True)
    ask("DELETE", "/icons/{key...}", expect=(204,), is_admin=True, **{"key...": "shop/cart"})


def test_no_request_reads_more_of_the_table_than_its_tenants_or_its_runtimes_part(platform):
    assert walk(platform) == {(route.method, route.template) for route in ROUTES}
    platform.pass_time(DEFAULT_DEADLINES.start_s)
    wires = [wired.wire for wired in (platform.door_wired, platform.keeper_wired, platform.courier_wired)]
    assert [_WHOLE & set(wire.calls) for wire in wires] == [set()] * 3
    asked = [json.loads(body) for call, body in zip(wires[0].calls, wires[0].bodies, strict=True) if call == "Query"]
    parts = {TENANT, agents_of(platform.name), *(f"{platform.name}#{shard}" for shard in QUEUE_SHARDS)}
    parts |= {f"icons/{kind}" for kind in ("needs", "hits", "days")}
    read = set()
    for query in asked:
        name = _OF_A_PART.match(query["KeyConditionExpression"])[2]
        read.add(query["ExpressionAttributeValues"][f":{name}"]["S"])
    assert read == parts
