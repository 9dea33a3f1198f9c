"""What users of OpenAI's client do: list models, generate and edit pictures, and read errors; each prints a line."""

import base64
import io
import json
import os
import sys
from pathlib import Path

import openai


def client_of(key):
    return openai.OpenAI(base_url=f"{os.environ['SD_URL']}/openai/v1", api_key=key)


def say(**values):
    print(json.dumps(values), flush=True)


def failure(call):
    try:
        call()
    except openai.APIStatusError as exc:
        tries = exc.response.request.headers["x-stainless-retry-count"]
        return {
            "status": exc.status_code,
            "message": exc.message,
            "param": exc.param,
            "code": exc.code,
            "retries": tries,
        }


def magic(picture):
    return base64.b64decode(picture.b64_json)[:4].hex()


client = client_of(os.environ["SD_KEY"])
fox = {"model": "gpt-image-1", "prompt": "a red fox", "size": "64x64"}
say(models=[model.id for model in client.models.list()])
say(model=client.models.retrieve("black-forest-labs/flux-schnell").id)

own = {"seed": 5, "steps": 3, "guidance": 3.5, "negative_prompt": "blur", "nonsense": True}
made = client.images.generate(**fox, n=2, quality="high", background="opaque", user="u-1", extra_body=own)
say(
    generated=[magic(one) for one in made.data],
    seeds=[one.seed for one in made.data],
    warnings=made.warnings,
    described=[made.size, made.output_format, made.usage.total_tokens],
    job=made.job,
    request_id=made._request_id,
)
made = client.images.generate(
    model="fluxdev", prompt="a hare", size="64x64", output_format="jpeg", response_format="url"
)
say(url=made.data[0].url)
say(unnamed=magic(client.images.generate(prompt="the first model draws it").data[0]))

picture, mask = (Path(one).read_bytes() for one in sys.argv[1:3])
made = client.images.edit(**fox, image=("in.png", io.BytesIO(picture)), mask=("mask.png", mask), n=1)
say(edited=magic(made.data[0]), job=made.job)
say(bytes=magic(client.images.edit(**fox, image=picture, response_format="b64_json").data[0]))

say(unknown=failure(lambda: client.images.generate(**{**fox, "model": "gpt-image-2"})))
say(size=failure(lambda: client.images.generate(**{**fox, "size": "big"})))
say(large=failure(lambda: client.images.generate(**{**fox, "size": "9999x9999"})))
say(masked=failure(lambda: client.images.generate(**fox, extra_body={"mask": "aGk="})))
say(n=failure(lambda: client.images.generate(**{**fox, "n": 0})))
say(several=failure(lambda: client.images.edit(**fox, image=[picture, picture])))
say(mask=failure(lambda: client.images.edit(**fox, image=picture, mask=picture[:25] + b"\6\0\0\0" + picture[29:60])))
say(variation=failure(lambda: client.post("/images/variations", cast_to=object)))
say(failed=failure(lambda: client.images.generate(**fox, extra_body={"image": "s3://nobody/none.png"})))
say(key=failure(client_of("no key of the API, but as long as one").models.list))
say(budget=failure(lambda: client_of(os.environ["SD_SPENT_KEY"]).images.generate(**fox)))
