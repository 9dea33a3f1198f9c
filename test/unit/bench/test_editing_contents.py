import base64
import io

import pytest
from PIL import Image

from api.content import content_faults
from bench.editing.cases import BenchError, Body, Case
from bench.editing.contents import ContentError, fill, read_template, template_names
from runtimes.catalog import DeployedRuntime
from runtimes.flux.options import ModelOptions

CARDS = {
    "flux-edit": ModelOptions(profile="flux-kontext").card,
    "flux-inpainting": ModelOptions(profile="flux-fill").card,
}
CASE = Case(id="one", instructions="Make it ${prompt}.", prompt="a dog", input="in.png", mask="mask.png")


@pytest.fixture
def folder(tmp_path):
    for name, side in (("in.png", 64), ("mask.png", 64)):
        Image.new("RGB", (side, side * 2)).save(tmp_path / name)
    return tmp_path


def filled(folder, content, case=CASE):
    return fill(case, folder, Body(tasktype="t", content=content), lambda path: f"s3://bucket/{path.name}").content


def test_a_placeholder_alone_becomes_the_value_and_within_a_text_its_words(folder):
    content = filled(folder, {"width": "${width}", "size": "${width}x${height}", "list": [{"seed": 7}]})
    assert content == {"width": 64, "size": "64x128", "list": [{"seed": 7}]}


def test_files_stand_in_base64_or_as_links(folder):
    content = filled(folder, {"a": "${image}", "b": ["${mask_url}"]})
    assert Image.open(io.BytesIO(base64.b64decode(content["a"]))).size == (64, 128)
    assert content["b"] == ["s3://bucket/mask.png"]


def test_no_file_is_laid_in_the_bucket_unless_its_link_is_wanted(folder):
    def link(path):
        raise AssertionError(path)

    fill(CASE, folder, Body(tasktype="t", content={"a": "${image}"}), link)


def test_placeholders_in_a_cases_own_words_are_words(folder):
    assert filled(folder, {"p": "${instructions}"}) == {"p": "Make it ${prompt}."}


def test_a_case_with_a_body_of_its_own_goes_before_the_template(folder):
    case = CASE.model_copy(update={"body": Body(tasktype="own", content={"p": "${prompt}"})})
    body = fill(case, folder, Body(tasktype="t", content={}), str)
    assert body == Body(tasktype="own", content={"p": "a dog"})


def test_a_file_that_the_case_lacks_is_named(folder):
    with pytest.raises(ContentError, match="wants a mask"):
        filled(folder, {"m": "${mask}"}, Case(id="one", input="in.png"))


def test_an_unknown_placeholder_is_named_with_those_there_are(folder):
    with pytest.raises(ContentError, match=r"no placeholder \$\{picture\}; there are image, "):
        filled(folder, {"a": "${picture}"})


@pytest.mark.parametrize("name", template_names())
def test_the_door_accepts_what_each_template_gives(folder, name):
    card = CARDS.get(name)
    runtime = DeployedRuntime(name="r", type=name.partition("-")[0], dynamic_model=name == "sdwebui", card=card)
    body = fill(CASE, folder, read_template(name), lambda path: f"s3://bucket/{path.name}")
    assert body.tasktype in runtime.task_types
    assert not list(content_faults(body.content, body.tasktype, runtime, ()))


def test_a_template_may_be_a_file(tmp_path):
    (tmp_path / "own.json").write_text('{"tasktype": "edit", "content": {}}')
    assert read_template(str(tmp_path / "own.json")).tasktype == "edit"


def test_an_unknown_template_is_refused_with_those_there_are():
    with pytest.raises(BenchError, match="there are comfyui, flux-edit, flux-inpainting, sdwebui"):
        read_template("midjourney")
