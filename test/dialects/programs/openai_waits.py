"""What OpenAI's client makes of slow pictures, with as many seconds' patience as it is given; prints one line."""

import base64
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai

seconds, file = sys.argv[1:]
client = openai.OpenAI(
    base_url=f"{os.environ['SD_URL']}/openai/v1", api_key=os.environ["SD_KEY"], timeout=float(seconds)
)
picture = Path(file).read_bytes()
fox = {"model": "gpt-image-1", "size": "64x64", "quality": "high", "user": f"{seconds} s"}


def outcome(call):
    try:
        made = call()
    except openai.APITimeoutError:
        return "timeout"
    return [base64.b64decode(made.data[0].b64_json)[:4].hex(), *made.warnings]


calls = (
    lambda: client.images.generate(**fox, prompt="a fox"),
    lambda: client.images.edit(**fox, prompt="a fox", image=picture),
)
with ThreadPoolExecutor(len(calls)) as threads:
    print(json.dumps([one.result() for one in [threads.submit(outcome, call) for call in calls]]))
