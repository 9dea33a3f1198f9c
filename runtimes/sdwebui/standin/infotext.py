"""The text that describes a generation: written into pictures."""

import json
from typing import Any

VERSION = "1.10.1"


def quoted(value: object) -> str:
    """Return the value as it stands in a list of pairs: in quotes where it could be misread."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else text


def compose(prompt: str, negative: str, pairs: dict[str, Any]) -> str:
    """Return the text; pairs without a value are left out."""
    said = ", ".join(f"{key}: {quoted(value)}" for key, value in pairs.items() if value is not None)
    lines = [prompt, f"Negative prompt: {negative}" if negative else "", said]
    return "\n".join(line for line in lines if line).strip()
