"""Cases of editing: a picture, an instruction, the expected result, and the request for a runtime."""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

FILE = "cases.json"
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""Errors of Pillow for bytes that are not a picture."""

TEMPLATES = {path.stem: path for path in sorted((Path(__file__).parent / "templates").glob("*.json"))}
"""The bench's own templates."""

_STRICT = ConfigDict(frozen=True, extra="forbid")
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class BenchError(Exception):
    """The bench cannot continue; the message says why and what to do."""


class CaseError(Exception):
    """One case got no picture; the message says why."""


def _in_the_folder(name: str) -> str:
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise ValueError("must be a file in the folder of cases")
    return name


_FileName = Annotated[str, AfterValidator(_in_the_folder)]


class EditBody(BaseModel):
    """A task's type and content for a runtime, with placeholders that ``fill`` replaces."""

    model_config = _STRICT

    tasktype: str
    content: dict[str, Any]


class Case(BaseModel):
    """One picture to edit; docs/editing-bench.md explains the fields.

    ``input``, ``mask`` and ``reference`` are files in the folder of cases. The picture may change where the mask is
    white. The report groups figures by ``kind``. ``body`` replaces the template.
    """

    model_config = _STRICT

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    kind: str = "other"
    instructions: str = ""
    prompt: str = ""
    input: _FileName | None = None
    mask: _FileName | None = None
    reference: _FileName | None = None
    body: EditBody | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0


class CaseFolder(BaseModel):
    """The content of cases.json; the bench posts cases in this order."""

    model_config = _STRICT

    cases: Annotated[list[Case], Field(min_length=1)]


def read_cases(folder: Path) -> list[Case]:
    """Read the cases of a folder.

    Raises:
        BenchError: There are no cases, they are invalid, or files are missing.
    """
    path = folder / FILE
    try:
        cases = CaseFolder.model_validate_json(path.read_bytes()).cases
    except OSError as exc:
        raise BenchError(f"{path} cannot be read. Make cases with: python -m bench.editing make {folder}") from exc
    except ValidationError as exc:
        raise BenchError(f"{path} is invalid: {exc}") from exc
    ids = [case.id for case in cases]
    if repeated := [one for one in ids if ids.count(one) > 1]:
        raise BenchError(f"{path} is invalid: two cases have the id {repeated[0]}")
    names = [name for case in cases for name in (case.input, case.mask, case.reference) if name is not None]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise BenchError(f"{path} names {missing[0]}, which does not exist.")
    return cases


def read_template(name: str) -> EditBody:
    """Read one of ``TEMPLATES``, or a file.

    Raises:
        BenchError: It does not exist or is invalid.
    """
    path = TEMPLATES.get(name, Path(name))
    try:
        return EditBody.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise BenchError(f"There is no template {name}; there are {', '.join(TEMPLATES)}, or name a file.") from exc
    except ValidationError as exc:
        raise BenchError(f"The template {path} is invalid: {exc}") from exc


def fill(case: Case, folder: Path, template: EditBody, link: Callable[[Path], str]) -> EditBody:
    """Replace the placeholders in the case's own body, or in the template.

    A text that is only ``${width}`` becomes the value itself; elsewhere, the value becomes part of the text. ``link``
    puts a file where a runtime can fetch it and returns its link; it is called only for placeholders of links.

    Raises:
        CaseError: A placeholder is unknown, or the case has no value for it.
    """
    forms: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
        "image": ("input", _base64_of),
        "image_url": ("input", link),
        "mask": ("mask", _base64_of),
        "mask_url": ("mask", link),
        "width": ("input", lambda path: Image.open(path).width),
        "height": ("input", lambda path: Image.open(path).height),
    }
    words = {"instructions": case.instructions, "prompt": case.prompt}

    def value_of(found: re.Match[str]) -> Any:
        if found[1] in words:
            return words[found[1]]
        if found[1] not in forms:
            raise CaseError(f"There is no placeholder {found[0]}; there are {', '.join([*forms, *words])}.")
        role, form = forms[found[1]]
        name: str | None = getattr(case, role)
        if name is None:
            raise CaseError(f"The template wants {'an' if role == 'input' else 'a'} {role}, and the case has none.")
        return form(folder / name)

    body = case.body or template
    return EditBody(tasktype=body.tasktype, content=_filled(body.content, value_of))


def _base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _filled(value: Any, value_of: Callable[[re.Match[str]], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, value_of) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, value_of) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACEHOLDER.fullmatch(value):
        return value_of(whole)
    return _PLACEHOLDER.sub(lambda found: str(value_of(found)), value)
