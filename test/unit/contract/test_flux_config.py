"""Runtimes of type flux in config.yaml, and what of their models travels to the door."""

import pytest

from configuration.config import ConfigError, parse_config
from configuration.gpus import GPUS, instances_that_fit
from runtimes.catalog import RuntimeCatalog
from runtimes.flux.families import TASK_TYPES
from runtimes.flux.profiles import PROFILES


def config(runtime_type="flux", instance_types=("g6e.xlarge",), **runtime):
    nodes = {"karpenter": {"provisioner": {"instanceType": list(instance_types)}}}
    row = {"name": "pictures", "namespace": "pictures", "type": runtime_type, "extraValues": nodes, **runtime}
    return parse_config({"stackName": "s", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [row]})


def faults(**runtime):
    with pytest.raises(ConfigError) as caught:
        config(**runtime)
    return {fault.pointer.removeprefix("modelsRuntime[0]."): fault.detail for fault in caught.value.errors}


def test_a_flux_runtime_must_name_its_model():
    assert "is required" in faults()["model"]


@pytest.mark.parametrize("runtime_type", ["sdwebui", "comfyui"])
def test_a_model_block_is_a_fault_for_other_types(runtime_type):
    found = faults(runtime_type=runtime_type, model={"profile": "sdxl"}, modelFilename="a.safetensors")
    assert found == {"model": f"means nothing to type {runtime_type}"}


def test_a_checkpoint_is_a_fault_for_a_flux_runtime():
    found = faults(model={"profile": "sdxl"}, modelFilename="a.safetensors", dynamicModel=True)
    assert found["dynamicModel"] == "means nothing to type flux"
    assert "modelsRuntime[0].model" in found["modelFilename"]


@pytest.mark.parametrize("profile", ["umo", "nano-banana"])
def test_a_model_that_cannot_run_here_is_refused_with_the_reason_and_what_to_take_instead(profile):
    problem = faults(model={"profile": profile})["model.profile"]
    assert PROFILES[profile].refusal in problem
    assert "qwen-image-edit" in problem


def test_an_unknown_profile_is_told_those_that_run():
    problem = faults(model={"profile": "flux-pro"})["model.profile"]
    assert "flux-schnell" in problem
    assert "nano-banana" not in problem


@pytest.mark.parametrize("source", ["black-forest-labs/FLUX.1-schnell", "diffusers/my-model"])
def test_a_model_may_be_named_by_its_source_alone(source):
    assert config(model={"source": source}).models_runtime[0].model.where == source


@pytest.mark.parametrize("source", ["../other", "/etc", "", "a b"])
def test_a_source_outside_the_model_bucket_is_a_fault(source):
    assert {"model", "model.source"} & faults(model={"source": source}).keys()


@pytest.mark.parametrize("revision", ["-x", "a b", "a?b", "/a"])
def test_what_cannot_be_a_revision_is_a_fault(revision):
    assert "model.revision" in faults(model={"profile": "flux-schnell", "revision": revision})


@pytest.mark.parametrize("revision", ["741f7c3ce8b383c54771c7003378a50191e9efe9", "refs/pr/3", "v1.0"])
def test_a_revision_may_be_a_commit_a_tag_or_a_branch(revision):
    assert config(model={"profile": "flux-schnell", "revision": revision}).models_runtime[0].model.revision == revision


def test_the_card_of_a_known_model_travels_to_the_door_as_json():
    loras = [{"name": "sketch", "source": "loras/sketch.safetensors", "weight": 0.8}]
    catalog = config(model={"profile": "flux-schnell", "loras": loras}).catalog
    (travelled,) = RuntimeCatalog.from_json(catalog.to_json())
    assert (travelled.card.steps, travelled.card.guidance, travelled.card.max_sequence_length) == (4, 0, 256)
    assert travelled.card == catalog["pictures"].card
    assert travelled.task_types == ("text-to-image", "image-to-image", "inpainting")


def test_of_a_model_that_only_its_files_describe_the_door_knows_nothing():
    runtime = config(model={"source": "my-model"}).catalog["pictures"]
    assert runtime.card is None
    assert runtime.task_types == TASK_TYPES


def warnings(instance_types, model):
    found = config(instance_types=instance_types, model=model).warnings
    assert {warning.pointer for warning in found} <= {"modelsRuntime[0].extraValues.karpenter.provisioner.instanceType"}
    return " ".join(warning.detail for warning in found)


def test_a_gpu_that_is_too_small_for_the_model_is_warned_of_with_those_that_are_not():
    said = warnings(["g6e.xlarge", "g5.xlarge"], {"profile": "flux-schnell"})
    assert "g5.xlarge (24 GB), too small for flux-schnell" in said
    assert "choose g6e" in said
    assert "g6e.xlarge" not in said


@pytest.mark.parametrize("remedy", [{"quantization": "4bit"}, {"offload": "sequential"}])
def test_fewer_bits_and_offloading_make_a_model_fit(remedy):
    assert warnings(["g5.xlarge"], {"profile": "flux-schnell", **remedy}) == ""


@pytest.mark.parametrize("profile", ["flux-schnell", "flux-dev", "flux-fill", "flux-kontext", "qwen-image-edit"])
def test_float16_is_a_fault_for_models_that_overflow_in_it(profile):
    found = faults(
        model={"profile": profile, "dtype": "float16", "quantization": "4bit"}, instance_types=["g4dn.xlarge"]
    )
    assert found.keys() == {"model.dtype"}
    assert "take bfloat16, or float32" in found["model.dtype"]


@pytest.mark.parametrize("profile", ["sdxl", "sd3.5-large"])
def test_float16_is_taken_for_models_that_bear_it(profile):
    assert config(model={"profile": profile, "dtype": "float16"}).models_runtime[0].model.dtype == "float16"


def test_a_gpu_without_bfloat16_is_warned_of_unless_the_model_computes_in_another_type():
    said = "has g4dn.xlarge, whose GPU does not compute in bfloat16; choose others"
    assert warnings(["g4dn.xlarge"], {"profile": "sdxl"}) == f"{said}, or set model.dtype float16"
    assert warnings(["g4dn.xlarge"], {"source": "a-model"}) == said
    assert warnings(["g4dn.xlarge"], {"profile": "sdxl", "dtype": "float16"}) == ""


def test_a_model_in_32_bit_is_reckoned_with_twice_the_memory():
    said = warnings(["g6e.xlarge", "p4de.24xlarge"], {"profile": "flux-schnell", "dtype": "float32"})
    assert "g6e.xlarge (48 GB), too small for flux-schnell, which takes about 71 GB" in said
    assert "choose p4de, p5, p5e, p5en, or set model.dtype bfloat16, " in said
    assert "p4de.24xlarge" not in said


def test_fewer_bits_take_the_same_room_whatever_is_computed_with():
    quantized = PROFILES["flux-schnell"]
    assert quantized.weights_gb("4bit", "float32") == quantized.weights_gb("4bit", "bfloat16")


def test_layers_that_take_turns_cannot_be_quantized():
    found = faults(model={"profile": "flux-schnell", "offload": "sequential", "quantization": "4bit"})
    assert found == {"model.offload": "sequential does not go with quantization; take model"}


def test_nothing_is_said_of_instance_types_that_are_not_in_the_table():
    assert warnings(["g9.xlarge"], {"profile": "qwen-image-edit"}) == ""


def test_nothing_is_said_of_nodes_that_others_make():
    values = {"karpenter": {"enabled": False, "provisioner": {"instanceType": ["g4dn.xlarge"]}}}
    assert config(model={"profile": "flux-dev"}, extraValues=values).warnings == []


def test_every_model_that_runs_fits_some_instance_and_fewer_bits_never_need_a_larger_one():
    for profile in PROFILES.values():
        if profile.refusal is None:
            whole = instances_that_fit(profile, "none", "none")
            assert whole
            assert instances_that_fit(profile, "none", "none", "float32")
            assert set(whole) <= set(instances_that_fit(profile, "4bit", "none")) <= GPUS.keys()


def test_no_model_is_said_to_fit_where_there_is_no_bfloat16():
    assert "g4dn" not in instances_that_fit(PROFILES["sdxl"], "4bit", "sequential")
