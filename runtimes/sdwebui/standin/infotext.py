"""The text that describes a generation: written into pictures, read back by png-info."""

import json
import re
from typing import Any

VERSION = "1.10.1"

# What png-info adds for everything that the text leaves out.
_UNSAID = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}
_PAIR = re.compile(r'\s*([\w /-]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_MIN_PAIRS = 3
_SIZE = re.compile(r"^(\d+)x(\d+)$")


def quoted(value: object) -> str:
    """Return the value as it stands in a list of pairs: in quotes where it could be misread."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else text


def compose(prompt: str, negative: str, pairs: dict[str, Any]) -> str:
    """Return the text; pairs without a value are left out."""
    said = ", ".join(f"{key}: {quoted(value)}" for key, value in pairs.items() if value is not None)
    lines = [prompt, f"Negative prompt: {negative}" if negative else "", said]
    return "\n".join(line for line in lines if line).strip()


def parse(text: str) -> dict[str, Any]:
    """Return what a text says, and the usual values of what it leaves unsaid."""
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < _MIN_PAIRS:
        lines, pairs = [*lines, last], []
    said: dict[str, Any] = {}
    for key, value in pairs:
        plain = json.loads(value) if value.startswith('"') else value
        size = _SIZE.match(plain)
        said |= {f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: plain}
    head, _, negative = "\n".join(lines).partition("Negative prompt:")
    said["Prompt"] = head.strip()
    said["Negative prompt"] = negative.strip()
    return {**said, **{key: value for key, value in _UNSAID.items() if key not in said}}
