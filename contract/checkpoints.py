"""Checkpoint names. SD WebUI takes file name, name, title and title with hash for the same file."""

import re

CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt")

_HASH = re.compile(r"\s*\[[0-9a-fA-F]+\]\s*$")


def checkpoint_stem(name: str) -> str:
    """Reduce any spelling of a checkpoint to one: no hash, no suffix, no case."""
    stem = _HASH.sub("", name).strip()
    for suffix in CHECKPOINT_SUFFIXES:
        if stem.lower().endswith(suffix):
            stem = stem[: -len(suffix)]
            break
    return stem.casefold()


def same_checkpoint(one: str, other: str) -> bool:
    """Whether two spellings name the same file."""
    return checkpoint_stem(one) == checkpoint_stem(other)
