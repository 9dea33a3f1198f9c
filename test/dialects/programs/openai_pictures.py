"""What a user of OpenAI's client does: list the models, generate pictures, and read an error."""

import base64
import json
import os

import openai

client = openai.OpenAI(base_url=f"{os.environ['SD_URL']}/openai/v1", api_key=os.environ["SD_KEY"])
models = [model.id for model in client.models.list()]
print(json.dumps({"models": models}))
made = client.images.generate(model="gpt-image-1", prompt="a red fox", size="64x64", n=2)
print(json.dumps({"pictures": [base64.b64decode(one.b64_json)[:4].hex() for one in made.data]}))
made = client.images.generate(model="fluxdev", prompt="a hare", size="64x64", response_format="url")
print(json.dumps({"url": made.data[0].url}))
for arguments in ({"model": "gpt-image-2"}, {"size": "big"}, {"n": 0}):
    try:
        client.images.generate(**{"model": "gpt-image-1", "prompt": "a fox", **arguments})
    except openai.APIStatusError as exc:
        print(json.dumps({"status": exc.status_code, "message": exc.message, "param": exc.param}))
