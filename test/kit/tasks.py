"""Sample tasks of every type, and parts of ComfyUI workflows and InvokeAI graphs."""

import base64
from pathlib import Path

TASKTYPES = {
    **dict.fromkeys(("sdwebui", "flux", "bedrock"), "text-to-image"),
    **dict.fromkeys(("comfyui", "invokeai"), "pipeline"),
}
MODELS = ("a.safetensors", "b.ckpt")
"""The stand-ins' checkpoints."""
INPUT_PNG = (Path(__file__).parents[1] / "input.png").read_bytes()


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def empty_image(**changes):
    return node("EmptyImage", **{"width": 32, "height": 24, "batch_size": 1, "color": 255, **changes})


def save_image(source="1", prefix="x"):
    return node("SaveImage", images=[source, 0], filename_prefix=prefix)


WORKFLOW = {"1": empty_image(), "2": save_image()}
"""The smallest workflow."""


INVOKE_MODEL = {"name": "a", "base": "sd-1", "type": "main"}
"""The first of the stand-in's checkpoints, as InvokeAI names it."""


def edge(source, destination):
    """An edge of an InvokeAI graph, between two fields as "node.field"."""
    ends = {"source": source.split("."), "destination": destination.split(".")}
    return {end: dict(zip(("node_id", "field"), point, strict=True)) for end, point in ends.items()}


def blank_image(**changes):
    return {"type": "blank_image", "width": 32, "height": 24, **changes}


def drawing_graph(seed=1, steps=2):
    """An InvokeAI graph that draws a picture from a text."""
    nodes = {
        "model": {"type": "main_model_loader", "model": INVOKE_MODEL},
        "text": {"type": "compel", "prompt": "p"},
        "noise": {"type": "noise", "seed": seed, "width": 64, "height": 64},
        "denoise": {"type": "denoise_latents", "steps": steps},
        "picture": {"type": "l2i"},
    }
    edges = [
        edge("model.unet", "denoise.unet"),
        edge("model.clip", "text.clip"),
        edge("model.vae", "picture.vae"),
        edge("text.conditioning", "denoise.positive_conditioning"),
        edge("text.conditioning", "denoise.negative_conditioning"),
        edge("noise.noise", "denoise.noise"),
        edge("denoise.latents", "picture.latents"),
    ]
    return {"nodes": nodes, "edges": edges}


def content_of(runtime_type, *, seed=1, steps=2, pictures=1):
    """The content of a task with some steps, each of which takes a server its ``step_s``."""
    if runtime_type == "invokeai":
        seeds = {"node_path": "noise", "field_name": "seed", "items": [seed + number for number in range(pictures)]}
        return {"graph": drawing_graph(seed, steps), "batch": [[seeds]]}
    if runtime_type == "flux":
        drawing = {"num_inference_steps": steps, "num_images": pictures, "width": 128, "height": 64}
        return {"prompt": "p", "seed": seed, **drawing}
    if runtime_type == "sdwebui":
        return {"prompt": "p", "seed": seed, "steps": steps, "width": 64, "height": 64, "batch_size": pictures}
    sampling = {"steps": steps, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1, "seed": seed}
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["2", 0], "latent_image": ["3", 0]}
    return {
        "1": node("CheckpointLoaderSimple", ckpt_name=MODELS[0]),
        "2": node("CLIPTextEncode", text="p", clip=["1", 1]),
        "3": node("EmptyLatentImage", width=64, height=64, batch_size=pictures),
        "4": node("KSampler", **sampling, **links),
        "5": node("VAEDecode", samples=["4", 0], vae=["1", 2]),
        "6": save_image("5"),
    }


def switching_content(number):
    """Content for SD WebUI; each number needs another checkpoint than the number before."""
    settings = {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    return {
        **content_of("sdwebui", seed=number),
        **settings,
        "alwayson_scripts": {"sd_model_checkpoint": MODELS[number % 2]},
    }


def upscaling_content():
    return {"image": base64.b64encode(INPUT_PNG).decode(), "upscaler_1": "lanczos", "upscaling_resize": 1}


def linking_content(runtime_type, link, *, seed=1):
    """The content of a task that draws from a linked picture."""
    if runtime_type == "comfyui":
        return {"1": node("LoadImage", image=link), "2": save_image(prefix=f"x{seed}")}
    if runtime_type == "flux":
        return {**content_of("flux", seed=seed), "image_url": link}
    if runtime_type == "invokeai":
        resized = {"type": "img_resize", "image": {"image_name": link}, "width": 32 + seed % 32, "height": 24}
        return {"nodes": {"resized": resized}, "edges": []}
    return {**content_of("sdwebui", seed=seed), "init_images": [link]}
