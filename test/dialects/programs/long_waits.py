"""Clients whose pictures take longer than API Gateway waits for a function, one of each runtime, all at once."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import openai
import replicate

URL, KEY = os.environ["SD_URL"], os.environ["SD_KEY"]


def by_openai():
    client = openai.OpenAI(base_url=f"{URL}/openai/v1", api_key=KEY)
    return len(client.images.generate(model="gpt-image-1", prompt="a fox", size="64x64").data)


def by_replicate():
    client = replicate.Replicate(bearer_token=KEY, base_url=f"{URL}/replicate/v1")
    return len(client.run("sd-on-eks/comfy", input={"prompt": "a fox", "width": 64, "height": 64}))


with ThreadPoolExecutor() as pool:
    waits = {call.__name__: pool.submit(call) for call in (by_openai, by_replicate)}
    print(json.dumps({name: wait.result() for name, wait in waits.items()}))
