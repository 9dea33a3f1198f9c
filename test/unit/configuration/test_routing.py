from dataclasses import replace

import pytest

from configuration.routing import subscription_filter
from contract.deadlines import DEFAULT_DEADLINES
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

STATIC = DeployedRuntime(name="static", type="sdwebui", model_filename="a.safetensors")
OTHER = DeployedRuntime(name="other", type="sdwebui", model_filename="b.safetensors")
DYNAMIC = DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True)
SECOND = DeployedRuntime(name="second", type="sdwebui", dynamic_model=True)
COMFY = DeployedRuntime(name="comfy", type="comfyui")


def test_a_static_runtime_takes_its_name_or_its_checkpoint():
    assert subscription_filter(STATIC, RuntimeCatalog([STATIC])) == {
        "$or": [{"runtime": ["static"]}, {"sd_model_checkpoint": ["a.safetensors"]}]
    }


def test_the_only_dynamic_runtime_takes_every_checkpoint_that_no_static_one_holds():
    catalog = RuntimeCatalog([STATIC, OTHER, DYNAMIC])
    assert subscription_filter(DYNAMIC, catalog)["$or"][1] == {
        "sd_model_checkpoint": [{"anything-but": ["a.safetensors", "b.safetensors"]}]
    }


def test_a_dynamic_runtime_alone_takes_every_checkpoint():
    assert subscription_filter(DYNAMIC, RuntimeCatalog([DYNAMIC]))["$or"][1] == {
        "sd_model_checkpoint": [{"exists": True}]
    }


@pytest.mark.parametrize("runtime", [DYNAMIC, COMFY])
def test_a_runtime_that_no_checkpoint_names_takes_its_name_alone(runtime):
    assert subscription_filter(runtime, RuntimeCatalog([DYNAMIC, SECOND, COMFY])) == {"runtime": [runtime.name]}


def test_a_checkpoint_is_resolved_to_the_static_runtime_that_holds_it_in_any_spelling():
    catalog = RuntimeCatalog([DYNAMIC, STATIC])
    for spelling in ("a.safetensors", "a", "A", "a.safetensors [0123abcd]"):
        assert catalog.for_checkpoint(spelling) is STATIC
    assert catalog.for_checkpoint("zzz") is DYNAMIC


def test_a_checkpoint_that_two_dynamic_runtimes_could_load_is_resolved_to_none():
    assert RuntimeCatalog([DYNAMIC, SECOND]).for_checkpoint("zzz") is None


def test_the_catalog_travels_as_json():
    slow = DeployedRuntime(name="slow", type="comfyui", deadlines=replace(DEFAULT_DEADLINES, execution_s=1.5))
    catalog = RuntimeCatalog([STATIC, DYNAMIC, COMFY, slow])
    assert list(RuntimeCatalog.from_json(catalog.to_json())) == list(catalog)


def test_a_catalog_without_deadlines_has_the_default_ones():
    (runtime,) = RuntimeCatalog.from_json('[{"name": "a", "type": "comfyui"}]')
    assert runtime.deadlines == DEFAULT_DEADLINES
