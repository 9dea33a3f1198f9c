"""A case as the task of one runtime: a template whose placeholders are filled.

A text that is nothing but ``${width}`` becomes the value itself; elsewhere the value is written into the text.
"""

import base64
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import ValidationError

from bench.editing.cases import BenchError, Body, Case

_TEMPLATES = Path(__file__).parent / "templates"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

Link = Callable[[Path], str]
"""Lays a file where a runtime can fetch it, and gives its link."""


class ContentError(Exception):
    """A case cannot be put in a runtime's words."""


def template_names() -> list[str]:
    """The templates that come with the bench."""
    return sorted(path.stem for path in _TEMPLATES.glob("*.json"))


def read_template(name: str) -> Body:
    """Read a template by its name or by its file's.

    Raises:
        BenchError: There is none, or it is faulty.
    """
    path = _TEMPLATES / f"{name}.json" if name in template_names() else Path(name)
    try:
        return Body.model_validate_json(path.read_bytes())
    except OSError as exc:
        known = ", ".join(template_names())
        raise BenchError(f"There is no template {name}; there are {known}. A file may be named as well.") from exc
    except ValidationError as exc:
        raise BenchError(f"The template {path} is faulty: {exc}") from exc


def fill(case: Case, folder: Path, template: Body, link: Link) -> Body:
    """Write a case's task.

    Args:
        case: The case; its own body goes before the template.
        folder: Where its files are.
        template: What to fill.
        link: Called for files that the template wants as links.

    Raises:
        ContentError: A placeholder is unknown, or the case has not what it stands for.
    """
    body = case.body or template
    values = _values(case, folder, link)
    return Body(tasktype=body.tasktype, content=_filled(body.content, values))


def _values(case: Case, folder: Path, link: Link) -> Mapping[str, Callable[[], Any]]:
    """What each placeholder stands for; read only when it is needed."""

    def path_of(name: str | None, role: str) -> Path:
        if name is None:
            raise ContentError(f"The template wants {role}, and the case has none.")
        return folder / name

    image, mask = partial(path_of, case.input, "an input"), partial(path_of, case.mask, "a mask")
    return {
        "image": lambda: _base64(image()),
        "image_url": lambda: link(image()),
        "mask": lambda: _base64(mask()),
        "mask_url": lambda: link(mask()),
        "width": lambda: _size(image())[0],
        "height": lambda: _size(image())[1],
        "instructions": lambda: case.instructions,
        "prompt": lambda: case.prompt,
    }


def _filled(value: Any, values: Mapping[str, Callable[[], Any]]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACEHOLDER.fullmatch(value):
        return _value(whole, values)
    return _PLACEHOLDER.sub(lambda found: str(_value(found, values)), value)


def _value(found: re.Match[str], values: Mapping[str, Callable[[], Any]]) -> Any:
    if found[1] not in values:
        raise ContentError(f"There is no placeholder {found[0]}; there are {', '.join(values)}.")
    return values[found[1]]()


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size
