"""What a user of webuiapi does: look around, choose a model, draw, upscale, watch, interrupt, and read errors."""

import asyncio
import json
import os
import threading
import time

import requests
import webuiapi
from PIL import Image

BASE = f"{os.environ['SD_URL']}/sdwebui/sdapi/v1"


def with_key(key):
    return webuiapi.WebUIApi(baseurl=BASE, username="me", password=key)


api = with_key(os.environ["SD_KEY"])
image = Image.new("RGB", (64, 64))
small = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}


def say(**what):
    print(json.dumps(what), flush=True)


def failure(call):
    try:
        return call().image.size
    except RuntimeError as exc:
        answer = json.loads(exc.args[1])
        return [exc.args[0], answer.get("detail") or answer["error"]["message"]]


def set_faults(**faults):
    requests.post(os.environ["SD_FAULTS"], json=faults).raise_for_status()


say(models=api.util_get_model_names(), samplers=api.util_get_sampler_names(), schedulers=api.util_get_scheduler_names())
say(upscalers=[one["name"] for one in api.get_upscalers()], scripts=api.get_scripts())
drawn = api.txt2img(**small, seed=7, batch_size=2)
say(pictures=[one.size for one in drawn.images], seed=drawn.info["seed"], steps=drawn.parameters["steps"])
say(varied=api.img2img(images=[image], **small, mask_image=image, denoising_strength=0.5).image.size)
upscaled = api.extra_single_image(image=image, upscaler_1="Lanczos", upscaling_resize=2)
batch = api.extra_batch_images(images=[image, image], upscaler_1="Lanczos", upscaling_resize=2)
say(upscaled=upscaled.image.size, batch=[one.size for one in batch.images])

before = api.util_get_current_model()
api.set_options({"sd_model_checkpoint": "fluxdev"})
api.set_options({**api.get_options(), "any key": [1]})
flux = api.txt2img(**small)
override = api.txt2img(**small, override_settings={"sd_model_checkpoint": before})
say(before=before, now=api.util_get_current_model(), kept=api.get_options()["any key"])
say(flux=flux.info["sd_model_name"], override=override.info["sd_model_name"])
api.set_options({"sd_model_checkpoint": before, "live_previews_enable": True})


async def drawn_asynchronously():
    return (await api.txt2img(**small, use_async=True)).image.size


say(asynchronous=asyncio.run(drawn_asynchronously()))
say(
    unknown=failure(lambda: api.txt2img(**small, override_settings={"sd_model_checkpoint": "nothing"})),
    faulty=failure(lambda: api.txt2img(prompt="a fox", width=4)),
    stranger=failure(lambda: webuiapi.WebUIApi(baseurl=BASE).txt2img(**small)),
    spent=failure(lambda: with_key(os.environ["SD_SPENT"]).txt2img(**small)),
)
set_faults(fail_jobs=1)
say(failed=failure(lambda: api.txt2img(**small)))

set_faults(hold_at_step=3)
interrupted = []
thread = threading.Thread(target=lambda: interrupted.append(failure(lambda: api.txt2img(**small | {"steps": 4}))))
thread.start()
while not (seen := api.get_progress())["current_image"]:
    time.sleep(0.2)
say(progress=seen["progress"], state=seen["state"], preview=seen["current_image"][:11])
api.interrupt()
thread.join()
say(interrupted=interrupted[0], after=api.get_progress()["state"]["job_count"])
