import pytest

from queue_agent.errors import InputError
from queue_agent.inputs.links import MAX_INPUTS, find_sites

FIELDS = frozenset({"init_images", "image", "mask"})
OPEN = frozenset({"alwayson_scripts", "script_args"})
LONG = "x" * 40


def found(body):
    return {site.input.field: site.input.text for site in find_sites(body, FIELDS, open_fields=OPEN)}


def test_whatever_text_stands_where_an_image_belongs_is_an_input_and_a_prompt_is_none():
    body = {
        "prompt": "https://example.com/prompt.png",
        "negative_prompt": "s3://b/k",
        "init_images": ["s3://b/1", "iVBORw0KGgo=", "http://a/two words", "data:image/png;x,AAAA"],
        "mask": "https://example.com/2",
        "styles": ["https://example.com/style"],
        "image": "",
    }
    assert found(body) == {
        "init_images[0]": "s3://b/1",
        "init_images[1]": "iVBORw0KGgo=",
        "init_images[2]": "http://a/two words",
        "init_images[3]": "data:image/png;x,AAAA",
        "mask": "https://example.com/2",
    }


@pytest.mark.parametrize("text", ["http://a/b", "S3://b/k", " https://a b", "http:\\\\a\\b", "data:image/png,x", LONG])
@pytest.mark.parametrize(
    ("path", "scripts"),
    [
        ("X.args[0]", lambda text: {"X": {"args": [text, True, "0"]}}),
        ("X.args[0].face", lambda text: {"X": {"args": [{"face": text, "module": "none"}]}}),
        ("X.args[0].image.mask", lambda text: {"X": {"args": [{"image": {"mask": text}}]}}),
        ("X.args[0].images[1][0]", lambda text: {"X": {"args": [{"images": [3, [text]]}]}}),
        ("X.args[0].effective_region_mask", lambda text: {"X": {"args": [{"effective_region_mask": text}]}}),
        ("X.source_image_prompt", lambda text: {"X": {"source_image_prompt": text}}),
    ],
)
def test_in_extensions_arguments_all_that_may_be_a_picture_is_an_input_under_whatever_name(path, scripts, text):
    assert found({"alwayson_scripts": scripts(text)}) == {f"alwayson_scripts.{path}": text}


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ({"script_name": "x", "script_args": ["http://a/b", 3]}, {"script_args[0]": "http://a/b"}),
        ({"alwayson_scripts": {"A": {"args": [{"ad_prompt": "http://a/b", "model": "none"}, "word"]}}}, {}),
    ],
)
def test_scripts_arguments_are_searched_too_and_prompts_and_short_words_among_them_are_none(body, inputs):
    assert found(body) == inputs


def test_what_is_put_in_an_inputs_place_replaces_nothing_else():
    unit = {"image": {"image": "s3://b/3", "mask": "s3://b/4"}, "module": "https://m"}
    body = {"prompt": "s3://p", "init_images": ["s3://b/1"], "alwayson_scripts": {"ControlNet": {"args": [unit]}}}
    for site in find_sites(body, FIELDS):
        site.replace("X")
    unit = {"image": {"image": "X", "mask": "X"}, "module": "https://m"}
    assert body == {
        "prompt": "s3://p",
        "init_images": ["X"],
        "alwayson_scripts": {"ControlNet": {"args": [unit]}},
    }


def test_inputs_without_end_are_refused_and_names_without_end_are_cut():
    name = "x" * 300_000
    assert len(found({"init_images": ["word"] * MAX_INPUTS})) == MAX_INPUTS
    with pytest.raises(InputError, match=f"a task may have at most {MAX_INPUTS} inputs") as caught:
        found({"alwayson_scripts": {name: ["http://a"] * (MAX_INPUTS + 1)}})
    assert len(str(caught.value)) < 1000
