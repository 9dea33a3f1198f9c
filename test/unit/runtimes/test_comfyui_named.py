"""What a workflow lets its callers set."""

import pytest

from runtimes.comfyui.named import MAX_INPUTS, WorkflowInput, found_inputs, whole_inputs, with_values
from test.kit.tasks import content_of, node, save_image


def conditioned(**ways):
    """A workflow whose sampler has other ways to its prompts."""
    graph = content_of("comfyui")
    graph["n"] = node("CLIPTextEncode", text="bad", clip=["1", 1])
    graph["4"]["inputs"] |= {"negative": ["n", 0]}
    for key, (way, added) in ways.items():
        graph["4"]["inputs"][key] = way
        graph |= added
    return graph


COMBINED = {"c": node("ConditioningCombine", conditioning_1=["2", 0], conditioning_2=["2", 0])}
CONTROLLED = {"c": node("ControlNetApplyAdvanced", positive=["2", 0], negative=["n", 0], strength=0.5)}
LOOP = {"c": node("ConditioningCombine", conditioning_1=["c", 0], conditioning_2=["2", 0])}


@pytest.mark.parametrize(
    "graph",
    [
        conditioned(),
        conditioned(positive=(["c", 0], COMBINED)),
        conditioned(positive=(["c", 0], CONTROLLED), negative=(["c", 1], {})),
        conditioned(positive=(["c", 0], LOOP)),
        dict(reversed(conditioned().items())),
    ],
    ids=["direct", "combined", "through a control net", "in a loop", "the other way round"],
)
def test_prompts_are_told_apart_by_what_the_sampler_takes_them_for(graph):
    found = found_inputs(graph)
    assert (found["prompt"].node, found["negative_prompt"].node) == ("2", "n")


def test_what_callers_usually_set_has_the_type_of_what_is_there():
    graph = conditioned()
    graph |= {"p": node("LoadImage", image="a.png"), "l": node("LoraLoader", lora_name="x", strength_model=1)}
    graph["4"]["inputs"]["steps"] = ["p", 0]  # comes from another node
    types = {name: one.type for name, one in found_inputs(graph).items()}
    assert types == {
        **dict.fromkeys(("prompt", "negative_prompt", "sampler_name", "scheduler", "checkpoint"), "string"),
        **dict.fromkeys(("seed", "width", "height", "batch_size"), "integer"),
        **dict.fromkeys(("cfg", "denoise", "strength_model"), "number"),
        "lora_name": "string",
        "image": "image",
    }


def test_of_two_nodes_of_a_kind_the_second_has_its_id_in_its_name_and_there_is_an_end():
    graph = {f"{number}:a": node("KSampler", seed=number) for number in range(MAX_INPUTS + 5)}
    found = found_inputs(graph)
    assert list(found)[:2] == ["seed", "seed_1_a"]
    assert len(found) == MAX_INPUTS


def test_values_and_defaults_are_put_into_a_copy_beside_which_nothing_changes():
    graph = {"1": node("EmptyImage", width=8, height=8), "2": save_image()}
    content = {"prompt": graph, "extra_data": {}}
    inputs = whole_inputs(
        content,
        {
            "w": WorkflowInput(node="1", field="width"),
            "h": WorkflowInput(node="1", field="height", default=16),
            "must": WorkflowInput(node="2", field="filename_prefix", required=True),
        },
    )
    assert (inputs["w"].default, inputs["h"].default, inputs["must"].default) == (8, 16, None)
    filled = with_values(content, inputs, {"w": 0, "must": "y"})
    assert filled["prompt"]["1"]["inputs"] == {"width": 0, "height": 16}
    assert filled["prompt"]["2"]["inputs"]["filename_prefix"] == "y"
    assert graph["1"]["inputs"] == {"width": 8, "height": 8}
