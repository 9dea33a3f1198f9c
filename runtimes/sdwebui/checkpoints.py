"""Checkpoint names: how SD WebUI spells them, and where a request may name one.

SD WebUI takes file name, name, title and title with hash for the same file. In some places it ignores an unknown name
without a word, so every place must be known.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from contract import strict_json
from contract.field_errors import FieldPath

CHECKPOINT_SUFFIXES = (".safetensors", ".ckpt")
MAX_CHECKPOINT_CHARS = 512
MAX_LINE_CHARS = 65_536
"""Of a list of values, and of an infotext's last line, which hold a few settings; a longer one is not read."""

_MAIN = "sd_model_checkpoint"
_SETTINGS = "override_settings"
_SCRIPTS = "alwayson_scripts"
_ALWAYS_TEXT = frozenset({_MAIN, "refiner_checkpoint", "hr_checkpoint_name"})
_KEY_ENDINGS = ("checkpoint", "checkpoint_name", "ckpt", "ckpt_name")
_NO_CHECKPOINT = frozenset({"", "none", "use same checkpoint"})
_HASH_LENGTHS = frozenset({8, 10, 64})
_INFOTEXT_OTHERS = ("Refiner", "Hires checkpoint")
_PLOT_SCRIPT = "x/y/z plot"
_PLOT_CHECKPOINT_AXES = frozenset({10, 11})
"""Which kind of axis is "Checkpoint name": the 10th of image-to-image, the 11th of text-to-image."""
_MIN_PAIRS = 3
_LABEL_AND_QUOTED = re.compile(r'([^:]*):\s*("(?:[^"\\]|\\.)*"|)')
"""A pair's name and its value, if that stands in quotes."""
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")


class NamedCheckpoint(NamedTuple):
    """A checkpoint that a request names.

    Attributes:
        path: Where it stands in the request's content.
        name: Its name, or a hash of its file; not text where the request is wrong.
        draws: Whether the picture as a whole is to be drawn with it; one that refines, for example, comes beside it.
    """

    path: FieldPath
    name: Any
    draws: bool


def checkpoint_stem(name: str) -> str:
    """Reduce any spelling of a checkpoint to one: no hash, no suffix, no case."""
    stem = name.strip()
    head, bracket, digits = stem.removesuffix("]").rpartition("[")
    if bracket and stem.endswith("]") and _HEXADECIMAL.fullmatch(digits):
        stem = head.rstrip()
    stem = stem.casefold()
    suffix = next(filter(stem.endswith, CHECKPOINT_SUFFIXES), "")
    return stem.removesuffix(suffix)


def same_checkpoint(one: str, other: str) -> bool:
    """Whether two spellings name the same file."""
    return checkpoint_stem(one) == checkpoint_stem(other)


def is_checkpoint_hash(name: str) -> bool:
    """Whether a name is the hash of a file, which only the model server can look up."""
    return len(name) in _HASH_LENGTHS and _HEXADECIMAL.fullmatch(name) is not None


def named_checkpoints(content: Mapping[str, Any]) -> Iterator[NamedCheckpoint]:
    """Find every checkpoint that a request to SD WebUI names.

    It may stand at the top, in settings, in the arguments of scripts at any depth, and in an infotext. The first one
    that draws wins; the one that an infotext draws with is left out where a field names another, as in SD WebUI itself.
    """
    draws = False
    for named in _in_fields(content):
        draws = draws or named.draws
        yield named
    if isinstance(text := content.get("infotext"), str):
        yield from (named for named in _in_infotext(text) if not (named.draws and draws))


def _in_fields(content: Mapping[str, Any]) -> Iterator[NamedCheckpoint]:
    scripts, settings = content.get(_SCRIPTS), content.get(_SETTINGS)
    if isinstance(scripts, dict):
        yield from _in_object(scripts, (_SCRIPTS,))
        yield from _in_refiner(scripts)
    if isinstance(settings, dict):
        yield from _in_object(settings, (_SETTINGS,))
    yield from _in_object({key: content[key] for key in content if key not in {_SCRIPTS, _SETTINGS}}, ())
    yield from _in_plot(content)


def infotext_pairs(text: str) -> dict[str, str]:
    """The settings in an infotext: the pairs ``name: value`` of its last line, if there are at least three.

    SD WebUI reads any shorter last line as a part of the prompt.
    """
    last = _last_line(text)
    pairs = list(_pairs(last)) if len(last) <= MAX_LINE_CHARS else []
    return dict(pairs) if len(pairs) >= _MIN_PAIRS else {}


def has_readable_settings(infotext: str) -> bool:
    """Whether an infotext's last line is short enough to be read; the checkpoint of a longer one is unknown."""
    return len(_last_line(infotext)) <= MAX_LINE_CHARS


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _in_object(value: Any, at: FieldPath) -> Iterator[NamedCheckpoint]:
    waiting = [(value, at)]
    while waiting:
        value, at = waiting.pop()
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            if isinstance(item, dict | list):
                waiting.append((item, (*at, key)))
            if isinstance(key, str) and _names_checkpoint(key, item):
                yield NamedCheckpoint((*at, key), item, draws=key == _MAIN)


def _names_checkpoint(key: str, value: Any) -> bool:
    if not key.casefold().endswith(_KEY_ENDINGS):
        return False
    return _is_given(value) if isinstance(value, str) else key in _ALWAYS_TEXT and value is not None


def _is_given(name: str) -> bool:
    return name.strip().casefold() not in _NO_CHECKPOINT


def _in_refiner(scripts: Mapping[str, Any]) -> Iterator[NamedCheckpoint]:
    """The refiner as a script: whether it is on, its checkpoint, when it takes over."""
    for key, script in scripts.items():
        match script:
            case {"args": [on, str(name), *_]} if on and key.casefold() == "refiner" and _is_given(name):
                yield NamedCheckpoint((_SCRIPTS, key, "args", 1), name, draws=False)


def _in_plot(content: Mapping[str, Any]) -> Iterator[NamedCheckpoint]:
    """Axes of a plot: for each its kind, then its values as text, then as a list."""
    name, arguments = content.get("script_name"), content.get("script_args")
    if not isinstance(name, str) or name.casefold() != _PLOT_SCRIPT or not isinstance(arguments, list):
        return
    for start in range(0, min(len(arguments), 9), 3):
        kind, *values = arguments[start : start + 3]
        if isinstance(kind, bool) or kind not in _PLOT_CHECKPOINT_AXES:
            continue
        for offset, value in enumerate(values, start=1):
            listed = value
            if isinstance(value, str):  # one that is too long for a list is too long for a name
                listed = value.split(",") if len(value) <= MAX_LINE_CHARS else [value]
            for one in listed if isinstance(listed, list) else ():
                if isinstance(one, str) and _is_given(name := one.strip(' "')):
                    yield NamedCheckpoint(("script_args", start + offset), name, draws=False)


def _in_infotext(text: str) -> Iterator[NamedCheckpoint]:
    pairs = infotext_pairs(text)
    # A hash tells more to a server that knows it; a name is what people read.
    if name := pairs.get("Model") or pairs.get("Model hash"):
        yield NamedCheckpoint(("infotext",), name, draws=True)
    for label in _INFOTEXT_OTHERS:
        if _is_given(name := pairs.get(label, "")):
            yield NamedCheckpoint(("infotext",), name, draws=False)


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Split ``a: 1, b: "x, y"``; a comma in quotes divides nothing. The work grows with the length alone."""
    start = 0
    while found := _LABEL_AND_QUOTED.match(line, start):
        label, quoted = found.groups()
        value, start = None, found.end()
        if quoted:
            with suppress(ValueError):
                value = str(strict_json.loads(quoted))
        if value is None:
            begin, comma = found.start(2), line.find(",", found.start(2))
            end = len(line) if comma < 0 else comma
            value, start = line[begin:end].strip(), end + 1
        if label := label.rpartition(",")[2].strip():
            yield label, value
