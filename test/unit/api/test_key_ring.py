"""Whom a request stands for, with a key and without one."""

import json

import pytest

from api.key_ring import KeyRing

HOST = {"host": "127.0.0.1:8188"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([{"key": "secret", "id": "boss", "role": "admin"}, {"key": "other", "id": "user"}]))
    return path


@pytest.mark.parametrize(
    ("headers", "tenant"),
    [
        ({"x-api-key": "other"}, "user"),
        ({"authorization": "Bearer other"}, "user"),
        ({"x-api-key": "wrong"}, None),
        ({}, None),
    ],
)
def test_a_key_stands_for_its_tenant_and_without_one_nobody_comes(file, headers, tenant):
    assert KeyRing(file).caller({**HOST, **headers}).tenant == tenant


@pytest.mark.parametrize(
    "headers",
    [
        HOST,
        *(
            {"host": host}
            for host in ("localhost:8188", "[::1]:8188", "192.168.1.5", "comfy", "comfy.sd.svc.cluster.local")
        ),
        {**HOST, "origin": "http://127.0.0.1:8188", "sec-fetch-site": "same-origin"},
        {**HOST, "sec-fetch-site": "none"},
    ],
)
def test_programs_and_own_pages_need_no_key_where_one_is_named_for_them(file, headers):
    caller = KeyRing(file, "boss").caller(headers)
    assert (caller.tenant, caller.is_admin) == ("boss", False)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example:8188"},
        {"host": "127.0.0.1.rebound.example"},
        {"host": "[::1"},
        *({**HOST, "origin": origin} for origin in ("http://elsewhere.example", "http://127.0.0.1:3000", "null")),
        *({**HOST, "sec-fetch-site": site} for site in ("cross-site", "same-site")),
        {**HOST, "x-api-key": "wrong"},
    ],
)
def test_pages_of_others_and_wrong_keys_stand_for_nobody(file, headers):
    assert KeyRing(file, "boss").caller(headers).tenant is None


def test_a_page_of_another_origin_may_come_with_a_key(file):
    assert (
        KeyRing(file, "boss").caller({"host": "api.example", "origin": "http://x", "x-api-key": "other"}).tenant
        == "user"
    )


def test_requests_without_a_key_cannot_stand_for_an_unknown_one(file):
    with pytest.raises(ValueError, match="there are boss, user"):
        KeyRing(file, "nobody")
