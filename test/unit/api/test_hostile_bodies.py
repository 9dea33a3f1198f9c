"""Bodies made to fill the door's memory or to keep it busy: it does little work, and its answer is small."""

import json
import time
import tracemalloc
from math import inf

import pytest

from contract.strict_json import MAX_VALUES

MAX_BYTES = 6 * 1024 * 1024
MIB = 1024 * 1024
HUGE = "1" + "0" * 400
RUNTIMES = {"sdruntime": "text-to-image", "dynamic": "image-to-image", "comfy": "pipeline", "kontext": "edit"}


def v1alpha2(content, runtime, tasktype=None, metadata=""):
    tasktype = tasktype or RUNTIMES[runtime]
    return (
        f'{{"task":{{"metadata":{{"id":"a","runtime":"{runtime}","tasktype":"{tasktype}"{metadata}}},'
        f'"content":{content}}}}}'
    )


def separators(text):
    return sum(map(text.count, ",[{"))


def filled(before, item, after, most=MAX_VALUES - 1000):
    """A JSON text with as many items as are read: one item, again and again, between two texts."""
    count = min((MAX_BYTES - 1000) // (len(item.encode()) + 1), most // (1 + separators(item)))
    return before + ",".join([item] * count) + after


def keyed(before, value, after, key="k"):
    """Likewise an object of ever other keys."""
    count = min((MAX_BYTES - 1000) // (len(value) + len(key) + 11), (MAX_VALUES - 1000) // (1 + separators(value)))
    return before + ",".join(f'"{key}{number:07}":{value}' for number in range(count)) + after


EDIT = '{"instructions":"a","image":"aGk=",'
LONG = "\u732b" * (MAX_BYTES // 4)

BODIES = {
    "weights that are texts": lambda: v1alpha2(filled(EDIT + '"lora_weights":[', '"a"', "]}"), "kontext"),
    "unknown keys": lambda: v1alpha2(keyed("{", "0", "}"), "kontext"),
    "unknown long key": lambda: v1alpha2(f'{{"{LONG}":1}}', "kontext"),
    "images that are numbers": lambda: v1alpha2(filled('{"init_images":[', "0", "]}"), "dynamic"),
    "a node of a long name": lambda: v1alpha2(f'{{"{LONG}":{{"class_type":"A"}}}}', "comfy"),
    "unknown keys of sdwebui": lambda: v1alpha2(keyed("{", "0", "}"), "sdruntime"),
    "a checkpoint of brackets": lambda: v1alpha2(
        '{"override_settings":{"sd_model_checkpoint":"' + "[" * 5_000_000 + '"}}', "dynamic"
    ),
    "a long id": lambda: v1alpha2("{}", "comfy", metadata=',"id":"' + "!" * 5_000_000 + '"'),
    "a large context": lambda: v1alpha2("{}", "comfy", metadata=',"context":' + filled("[", '"a"', "]")),
    "unknown deadlines": lambda: v1alpha2("{}", "comfy", metadata=',"deadlines":{' + keyed("", "0", "}")),
    "nodes of nodes": lambda: v1alpha2(keyed("{", '{"a":{}}', "}"), "comfy"),
    "deep nesting": lambda: "[" * MAX_BYTES,
    "numbers of many digits": lambda: v1alpha2(filled('{"steps":[', "1" * 4000, "]}"), "sdruntime"),
    "one letter makes all wide": lambda: v1alpha2('{"prompt":"\U0001f308' + "a" * (MAX_BYTES - 200) + '"}', "comfy"),
    "a plot of short names": lambda: v1alpha2(
        '{"script_name":"x/y/z plot","script_args":[11,"' + "ab," * (MAX_BYTES // 3 - 200) + '"]}',
        "dynamic",
        "text-to-image",
    ),
    "an infotext of quotes": lambda: v1alpha2(
        '{"infotext":"' + 'a:\\"b\\",' * (MAX_BYTES // 8 - 200) + '"}', "dynamic", "text-to-image"
    ),
}


@pytest.fixture(scope="module")
def parsing_s():
    """CPU seconds that it takes to read six megabytes of numbers."""
    text = filled("[", "0", "]", most=MAX_BYTES)
    started = time.process_time()
    json.loads(text)
    return time.process_time() - started


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_takes_hardly_longer_than_reading_it_and_fills_no_memory(door, name, parsing_s):
    body = BODIES[name]()
    assert len(body.encode()) <= MAX_BYTES
    times_s = []
    while len(times_s) < 8 and min(times_s, default=inf) >= 8 * parsing_s:  # a busy machine disturbs some of them
        started = time.process_time()
        response = door.respond(body)
        times_s.append(time.process_time() - started)
    assert response["statusCode"] in {200, 400}
    assert len(response["body"].encode()) <= MIB
    for error in json.loads(response["body"]).get("error", {}).get("details", []):
        assert len(error["field"]) <= 200
        assert len(error["problem"]) <= 1000
    assert min(times_s) < 8 * parsing_s
    tracemalloc.start()
    try:
        door.respond(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MIB


SD_WEBUI = (
    *("hr_scale", "hr_resize_x", "hr_resize_y", "hr_second_pass_steps", "subseed_strength", "image_cfg_scale"),
    *("steps", "width", "height", "batch_size", "n_iter", "cfg_scale", "seed", "subseed", "denoising_strength"),
)
UPSCALE = (
    *("resize_mode", "upscaling_resize", "upscaling_resize_w", "upscaling_resize_h", "gfpgan_visibility"),
    *("codeformer_visibility", "codeformer_weight", "extras_upscaler_2_visibility"),
)
FLUX = (
    *("num_inference_steps", "guidance_scale", "true_cfg_scale", "max_sequence_length", "seed", "num_images"),
    *("quality", "size", "lora_weights", "use_loras", "finish", "preview"),
)


@pytest.mark.parametrize("number", ["-" + HUGE, '"' + HUGE + '"', str(2**64)])
@pytest.mark.parametrize(
    ("runtime", "tasktype", "field"),
    [
        *[("sdruntime", "text-to-image", field) for field in SD_WEBUI],
        *[("dynamic", "extra-single-image", field) for field in UPSCALE],
        *[("kontext", "edit", field) for field in FLUX],
    ],
)
def test_a_number_beyond_64_bits_is_refused_where_it_stands(door, runtime, tasktype, field, number):
    given = '{"instructions":"a",' if runtime == "kontext" else "{"
    image = "" if tasktype == "text-to-image" else '"image":"aGk=",'
    fields = door.rejection(v1alpha2(f'{given}{image}"{field}":{number}}}', runtime, tasktype))
    assert [name for name in fields if name.startswith(f"task.content.{field}")] == list(fields)


def test_an_answer_holds_letters_as_themselves(door):
    response = door.respond(v1alpha2('{"nodes":[],"links":[]}', "comfy"))
    assert "→" in response["body"]
