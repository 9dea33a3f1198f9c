"""What users of OpenAI's client see of a stream: unfinished pictures, the picture, and an error; each prints a line."""

import asyncio
import base64
import json
import os
import sys
import urllib.request
from pathlib import Path

import openai

client = openai.AsyncOpenAI(base_url=f"{os.environ['SD_URL']}/openai/v1", api_key=os.environ["SD_KEY"])

picture = Path(sys.argv[1]).read_bytes()


def say(**values):
    print(json.dumps(values), flush=True)


def let_go():
    """Let the job draw its last steps."""
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(os.environ["SD_FAULTS"], b'{"hold_at_step": 0}', headers)).close()


async def events(stream):
    async for event in await stream:
        yield {
            "type": event.type,
            "index": getattr(event, "partial_image_index", None),
            "format": event.output_format,
            "picture": base64.b64decode(event.b64_json)[:4].hex(),
        }


async def main():
    seen = []
    hare = {"prompt": "a hare", "size": "64x64", "extra_body": {"steps": 4}}
    async for event in events(client.images.generate(**hare, model="comfy", stream=True, partial_images=1)):
        seen.append(event)
        if event["index"] is not None:
            await asyncio.to_thread(let_go)
    say(partial=seen)
    fox = {"model": "gpt-image-1", "prompt": "a fox", "size": "64x64", "n": 2, "stream": True}
    say(edited=[one async for one in events(client.images.edit(**fox, image=picture))])
    try:
        say(failed=[one async for one in events(client.images.generate(**fox, extra_body={"image": "s3://no/a.png"}))])
    except openai.APIError as exc:
        say(error=exc.body)


asyncio.run(main())
