"""A picture in shared words as a task of each type."""

import pytest

from api.content import content_errors
from runtimes.catalog import DeployedRuntime
from runtimes.flux.options import ModelOptions
from runtimes.live import LiveCatalog, NodeClass, NodeInput
from runtimes.pictures import NotDrawableError, PictureRequest, task_of

LOADER = NodeClass(module="nodes", inputs={"ckpt_name": NodeInput(type="COMBO", choices=0)})
OTHERS = ("CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode", "SaveImage")
CHECKPOINTS = LiveCatalog(
    nodes={
        "CheckpointLoaderSimple": LOADER,
        **{name: NodeClass(module="nodes", is_output=name == "SaveImage") for name in OTHERS},
    },
    lists=(("sd15.safetensors", "other.safetensors"),),
)
RUNTIMES = {
    "sdwebui": DeployedRuntime(name="sd", type="sdwebui", model_filename="a.safetensors"),
    "comfyui": DeployedRuntime(name="comfy", type="comfyui", live=lambda: CHECKPOINTS),
    "schnell": DeployedRuntime(name="schnell", type="flux", options=ModelOptions(profile="flux-schnell")),
    "kontext": DeployedRuntime(name="kontext", type="flux", options=ModelOptions(profile="flux-kontext")),
    "qwen": DeployedRuntime(name="qwen", type="flux", options=ModelOptions(profile="qwen-image-edit")),
    "fill": DeployedRuntime(name="fill", type="flux", options=ModelOptions(profile="flux-fill")),
}
PLAIN = {"prompt": "a fox", "width": 512, "height": 512, "n": 2, "seed": 7, "steps": 4}
IMAGE = {"prompt": "a fox", "image": "https://example.com/a.png", "strength": 0.5, "width": 512, "height": 512}
SEVERAL = {"prompt": "a fox", "image": "https://example.com/a.png", "references": ["https://example.com/b.png"]}
MASKED = {**IMAGE, "mask": "https://example.com/m.png"}


@pytest.mark.parametrize(
    ("runtime", "picture", "task_type"),
    [
        ("sdwebui", PLAIN, "text-to-image"),
        ("sdwebui", {**PLAIN, "negative_prompt": "fog", "guidance": 5}, "text-to-image"),
        ("sdwebui", IMAGE, "image-to-image"),
        ("sdwebui", MASKED, "image-to-image"),
        ("comfyui", {**PLAIN, "negative_prompt": "fog", "guidance": 5}, "pipeline"),
        ("comfyui", {"prompt": "a"}, "pipeline"),
        ("schnell", PLAIN, "text-to-image"),
        ("schnell", {**IMAGE, "format": "webp"}, "image-to-image"),
        ("schnell", MASKED, "inpainting"),
        ("kontext", PLAIN, "text-to-image"),
        ("kontext", IMAGE, "edit"),
        ("kontext", {"prompt": "a", "image": "s3://b/k", "width": 1024}, "edit"),
        ("qwen", SEVERAL, "edit"),
        ("fill", MASKED, "inpainting"),
    ],
)
def test_a_picture_becomes_a_task_that_its_type_accepts(runtime, picture, task_type):
    runtime = RUNTIMES[runtime]
    made, content = task_of(PictureRequest(**picture), runtime)
    assert made == task_type
    assert list(content_errors(content, made, runtime, ())) == []
    assert picture["prompt"] in str(content)


@pytest.mark.parametrize(
    ("runtime", "picture", "words"),
    [
        ("sdwebui", {"prompt": "a", "format": "webp"}, "PNG"),
        ("comfyui", IMAGE, "workflow"),
        ("sdwebui", SEVERAL, "works from one picture, not several"),
        ("schnell", SEVERAL, "not edit"),
        ("fill", PLAIN, "inpainting"),
        ("fill", IMAGE, "image-to-image or edit"),
    ],
)
def test_what_a_runtime_cannot_draw_is_said(runtime, picture, words):
    with pytest.raises(NotDrawableError, match=words):
        task_of(PictureRequest(**picture), RUNTIMES[runtime])


def test_comfyui_draws_with_a_checkpoint_of_its_servers_or_says_that_none_is_known():
    _, graph = task_of(PictureRequest(prompt="a"), RUNTIMES["comfyui"])
    assert graph["1"]["inputs"]["ckpt_name"] == "sd15.safetensors"
    with pytest.raises(NotDrawableError, match="No checkpoint"):
        task_of(PictureRequest(prompt="a"), DeployedRuntime(name="comfy", type="comfyui"))
