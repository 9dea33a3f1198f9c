import pytest

from api.operations.models import ModelNames, UnknownModelError
from runtimes.catalog import DeployedRuntime, ModelName, RuntimeCatalog

FIRST = DeployedRuntime(name="first", type="comfyui")
STUDIO = DeployedRuntime(name="second", type="comfyui", model_names=(ModelName(dialect="comfy", name="studio"),))
PAINTER = DeployedRuntime(name="painter", type="sdwebui", dynamic_model=True)


def names(*runtimes):
    return ModelNames(RuntimeCatalog(runtimes), lambda: pytest.fail("no workflow is read"))


@pytest.mark.parametrize(
    ("runtimes", "name", "expected"),
    [
        ((PAINTER, FIRST), "", FIRST),
        ((FIRST, STUDIO), "", STUDIO),
        ((FIRST, STUDIO), "first", FIRST),
        ((FIRST, STUDIO), "studio", STUDIO),
    ],
)
def test_workflows_run_on_the_runtime_that_is_named_or_on_the_dialects_first(runtimes, name, expected):
    assert names(*runtimes).for_workflows("comfy", name) == expected


@pytest.mark.parametrize(("runtimes", "name"), [((PAINTER,), ""), ((PAINTER, FIRST), "painter"), ((FIRST,), "fist")])
def test_a_runtime_that_takes_no_workflows_is_none(runtimes, name):
    with pytest.raises(UnknownModelError) as raised:
        names(*runtimes).for_workflows("comfy", name)
    assert (raised.value.status, "first" in raised.value.message) == (404, FIRST in runtimes)
