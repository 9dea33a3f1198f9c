from dataclasses import replace

import pytest

from configuration.routing import subscription_filter
from contract.deadlines import DEFAULT_DEADLINES
from contract.queues import Priority
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename="a.safetensors")
OTHER = DeployedRuntime(name="other", type="sdwebui", model_filename="b.safetensors")
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True)
SECOND = DeployedRuntime(name="second", type="sdwebui", dynamic_model=True)
COMFY = DeployedRuntime(name="comfy", type="comfyui")


@pytest.mark.parametrize(
    ("runtime", "others", "checkpoints"),
    [
        (STATIC, [OTHER], ["a.safetensors"]),
        (DYNAMIC, [STATIC, OTHER], [{"anything-but": ["a.safetensors", "b.safetensors"]}]),
        (DYNAMIC, [], [{"exists": True}]),
        (DYNAMIC, [SECOND], None),
        (COMFY, [DYNAMIC], None),
    ],
)
def test_a_runtime_takes_its_name_and_the_checkpoints_that_can_mean_no_other(runtime, others, checkpoints):
    by_name = {"runtime": [runtime.name]}
    by_either = {"$or": [by_name, {"sd_model_checkpoint": checkpoints}]}
    found = subscription_filter(runtime, RuntimeCatalog([*others, runtime]))
    assert found == (by_name if checkpoints is None else by_either)


def test_each_priority_has_a_filter_of_its_own_and_what_is_neither_high_nor_low_is_normal():
    runtime = replace(STATIC, has_priorities=True)
    catalog = RuntimeCatalog([runtime])
    usual = subscription_filter(STATIC, RuntimeCatalog([STATIC]))
    filters = {priority: subscription_filter(runtime, catalog, priority) for priority in runtime.priorities}
    assert filters == {
        Priority.HIGH: usual | {"priority": ["high"]},
        Priority.NORMAL: usual | {"priority": [{"exists": False}, {"anything-but": ["high", "low"]}]},
        Priority.LOW: usual | {"priority": ["low"]},
    }
    assert STATIC.priorities == (Priority.NORMAL,)


def test_a_checkpoint_is_resolved_to_the_static_runtime_that_holds_it_in_any_spelling():
    catalog = RuntimeCatalog([DYNAMIC, STATIC])
    for spelling in ("a.safetensors", "a", "A", "a.safetensors [0123abcd]"):
        assert catalog.for_checkpoint(spelling) is STATIC
    assert catalog.for_checkpoint("zzz") is DYNAMIC
    assert RuntimeCatalog([DYNAMIC, SECOND]).for_checkpoint("zzz") is None


def test_the_catalog_travels_as_json_and_has_default_deadlines_where_that_has_none():
    slow = DeployedRuntime(name="slow", type="comfyui", deadlines=replace(DEFAULT_DEADLINES, execution_s=1.5))
    catalog = RuntimeCatalog([STATIC, DYNAMIC, COMFY, slow])
    assert list(RuntimeCatalog.from_json(catalog.to_json())) == list(catalog)
    (runtime,) = RuntimeCatalog.from_json('[{"name": "a", "type": "comfyui"}]')
    assert runtime.deadlines == DEFAULT_DEADLINES
