"""What callers see of the runtimes."""

import jsonschema
import pytest

from contract.ids import new_job_id
from test.integration.api.conftest import SHELLS, Api


@pytest.mark.concurrent
@pytest.mark.parametrize("module", SHELLS.values(), ids=SHELLS)
def test_a_runtime_is_shown_with_what_its_servers_have_once_one_is_ready(kit, module):
    with kit.rig("sdwebui") as rig:
        api = Api(rig, module)
        path = f"/runtimes/{rig.name}"
        before = api.get(path)
        assert (before["ready_servers"], before["is_live"], before["queued"], before["eta_s"]) == (0, False, 0, None)
        rig.add_pod().start()
        rig.until(lambda: api.get(path)["ready_servers"] == 1)
        [listed] = api.get("/runtimes")["runtimes"]
        assert listed == {key: value for key, value in api.get(path).items() if key in listed}
        assert (listed["name"], listed["type"], listed["ready_servers"]) == (rig.name, "sdwebui", 1)
        assert "text-to-image" in listed["task_types"]


def test_the_schema_of_a_content_takes_its_own_example_and_names_the_task_types_there_are(api):
    path = f"/runtimes/{api.rig.name}/schema"
    for query in ("", "?type=text-to-image"):
        schema = api.get(f"{path}{query}")
        jsonschema.validate(schema["examples"][0], schema)
        body = {**api.body(), "content": schema["examples"][0]}
        assert api.call("POST", "/jobs?dry_run=true", body).status_code == 200
    problem = api.call("GET", f"{path}?type=text-to-imge").json()
    assert problem["errors"][0]["suggestion"] == "text-to-image"


def test_a_runtime_that_is_not_there_is_not_found_and_the_others_are_named(api):
    response = api.call("GET", f"/runtimes/{new_job_id()}")
    assert response.status_code == 404
    assert api.rig.name in response.json()["detail"]
