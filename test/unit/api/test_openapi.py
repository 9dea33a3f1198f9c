"""The OpenAPI document: valid, complete, and in words."""

import base64
import hashlib
import json
import re
import subprocess
import sys

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.faces.v1.face import ROUTES
from api.faces.v1.openapi import document
from test.unit.api.conftest import CATALOG

METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def spec():
    return json.loads(json.dumps(document(CATALOG)))


def operations(spec):
    for path, item in spec["paths"].items():
        yield from ((f"{method.upper()} {path}", one) for method, one in item.items() if method in METHODS)


def test_the_document_is_valid_openapi_3_1(spec):
    assert [error.message for error in OpenAPIV31SpecValidator(spec).iter_errors()] == []


def test_every_route_is_an_operation_with_a_name_of_its_own_a_tag_and_words(spec):
    found = dict(operations(spec))
    routes = {f"{route.method} /v1{route.template.replace('...}', '}')}" for route in ROUTES}
    assert found.keys() == routes | {"POST /v1alpha1", "POST /v1alpha2"}
    names = [one["operationId"] for one in found.values()]
    assert sorted(names) == sorted(set(names))
    tags = {tag["name"] for tag in spec["tags"] if tag["description"]}
    for name, one in found.items():
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", one["operationId"]), name
        assert set(one["tags"]) <= tags, name
        assert one["summary"], name
        assert one["description"], name


def test_every_parameter_and_every_field_of_a_request_is_described(spec):
    for name, one in operations(spec):
        for parameter in one["parameters"]:
            assert parameter["description"], f"{name} {parameter['name']}"
        for content in one.get("requestBody", {}).get("content", {}).values():
            reference = content["schema"].get("$ref", "").rpartition("/")[2]
            for field, schema in spec["components"]["schemas"].get(reference, {}).get("properties", {}).items():
                assert "description" in schema or "$ref" in schema, f"{name} {field}"


def test_every_component_is_referred_to(spec):
    text = json.dumps(spec)
    for kind in ("schemas", "responses"):
        for name in spec["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, name


def test_every_operation_with_a_key_names_how_it_rejects_and_public_ones_need_none(spec):
    for name, one in operations(spec):
        statuses = {int(status) for status in one["responses"]}
        assert any(status < 400 for status in statuses), name
        assert one.get("security") == [] or {401, 429, 500, 503} <= statuses, name
    public = {name for name, one in operations(spec) if one.get("security") == []}
    assert public == {f"{route.method} /v1{route.template.replace('...}', '}')}" for route in ROUTES if route.is_public}


def test_every_example_fits_its_schema(spec):
    checked = 0
    for _, one in operations(spec):
        for content in one.get("requestBody", {}).get("content", {}).values():
            for example in content.get("examples", {}).values():
                schema = {**content["schema"], "components": spec["components"]}
                jsonschema.validate(example["value"], schema, jsonschema.Draft202012Validator)
                checked += 1
        for answer in one["responses"].values():
            for content in answer.get("content", {}).values():
                if "example" in content:
                    schema = {**content["schema"], "components": spec["components"]}
                    jsonschema.validate(content["example"], schema, jsonschema.Draft202012Validator)
    assert checked >= len(list(CATALOG))


def test_a_request_is_answered_without_making_the_document():
    code = "import sys, api.faces.v1.face; sys.exit('api.faces.v1.openapi' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_needs_no_key_loads_nothing_from_elsewhere_and_runs_its_own_script_alone(door, tmp_path):
    answer = door.respond(None, path="/v1/docs", method="GET", key_id=None)
    policy = dict(part.strip().split(" ", 1) for part in answer["headers"]["Content-Security-Policy"].split(";"))
    (style,), (script,) = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", answer["body"], re.DOTALL) for tag in ("style", "script")
    )
    assert answer["statusCode"] == 200
    for directive, text in (("style-src", style), ("script-src", script)):
        assert policy.pop(directive) == f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
    assert policy.pop("connect-src") == "'self'"
    assert policy.pop("img-src") == "blob:"
    assert set(policy.values()) == {"'none'"}
    assert not re.search(r"(src|href)=\"|@import|https?://", answer["body"])
    file = tmp_path / "page.js"
    file.write_text(script, encoding="utf-8")
    subprocess.run(["node", "--check", file], check=True)
