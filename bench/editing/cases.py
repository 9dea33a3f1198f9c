"""Cases of editing: what is asked of which picture, what should come of it, and how a runtime is asked for it."""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

FILE = "cases.json"
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for bytes that are no picture."""

_TEMPLATES = Path(__file__).parent / "templates"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class BenchError(Exception):
    """The bench cannot go on; the message says why and what to do."""


class CaseError(Exception):
    """One case got no picture; the message says why."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EditBody(_Model):
    """A task's type and content as the runtime takes them, with placeholders that ``fill`` replaces."""

    tasktype: str
    content: dict[str, Any]


class Case(_Model):
    """One picture to edit. File names are relative to the folder of cases."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """Its name; unique in the folder."""
    kind: str = "other"
    """Cases of one kind are summed up together."""
    instructions: str = ""
    """What to change, for models that edit."""
    prompt: str = ""
    """What the picture shows afterwards, for models that draw."""
    input: str | None = None
    """File of the picture to edit."""
    mask: str | None = None
    """File of the mask: white may change, black stays."""
    reference: str | None = None
    """File of the expected picture."""
    body: EditBody | None = None
    """The task as the runtime takes it, in place of the template."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often load tests post it, compared with others."""

    @field_validator("input", "mask", "reference")
    @classmethod
    def _lies_in_the_folder(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError("must be a file in the folder of cases")
        return value


class CaseFolder(_Model):
    """What cases.json holds."""

    cases: Annotated[list[Case], Field(min_length=1)]
    """In the order in which they are posted."""

    @model_validator(mode="after")
    def _tells_cases_apart(self) -> Self:
        ids = [case.id for case in self.cases]
        if repeated := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"two cases have the id {repeated[0]}")
        return self


def read_cases(folder: Path) -> list[Case]:
    """Read the cases of a folder.

    Raises:
        BenchError: There are none, or they are invalid, or files are missing.
    """
    path = folder / FILE
    try:
        cases = CaseFolder.model_validate_json(path.read_bytes()).cases
    except OSError as exc:
        raise BenchError(f"{path} cannot be read. Make cases with: python -m bench.editing make {folder}") from exc
    except ValidationError as exc:
        raise BenchError(f"{path} is invalid: {exc}") from exc
    names = [name for case in cases for name in (case.input, case.mask, case.reference) if name is not None]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise BenchError(f"{path} names {missing[0]}, which does not exist.")
    return cases


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write cases.json; fields that have their default are left out."""
    text = CaseFolder(cases=list(cases)).model_dump_json(indent=2, exclude_defaults=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def template_names() -> list[str]:
    """The templates that come with the bench."""
    return sorted(path.stem for path in _TEMPLATES.glob("*.json"))


def read_template(name: str) -> EditBody:
    """Read a template by its name, or by the name of a file.

    Raises:
        BenchError: There is none, or it is invalid.
    """
    path = _TEMPLATES / f"{name}.json" if name in template_names() else Path(name)
    try:
        return EditBody.model_validate_json(path.read_bytes())
    except OSError as exc:
        known = ", ".join(template_names())
        raise BenchError(f"There is no template {name}; there are {known}. A file may be named as well.") from exc
    except ValidationError as exc:
        raise BenchError(f"The template {path} is invalid: {exc}") from exc


def fill(case: Case, folder: Path, template: EditBody, link: Callable[[Path], str]) -> EditBody:
    """Replace the placeholders of the case's own body, or of the template.

    A text that is nothing but ``${width}`` becomes the value itself; elsewhere the value is written into the text.

    Args:
        case: The case.
        folder: Where its files are.
        template: What is filled if the case has no body.
        link: Puts a file where a runtime can fetch it, and returns its link; called only for links that are wanted.

    Raises:
        CaseError: A placeholder is unknown, or the case lacks what it stands for.
    """

    def path_of(name: str | None, role: str) -> Path:
        if name is None:
            raise CaseError(f"The template wants {role}, and the case has none.")
        return folder / name

    def size() -> tuple[int, int]:
        with Image.open(path_of(case.input, "an input")) as image:
            return image.size

    body = case.body or template
    values: dict[str, Callable[[], Any]] = {
        "image": lambda: base64.b64encode(path_of(case.input, "an input").read_bytes()).decode(),
        "image_url": lambda: link(path_of(case.input, "an input")),
        "mask": lambda: base64.b64encode(path_of(case.mask, "a mask").read_bytes()).decode(),
        "mask_url": lambda: link(path_of(case.mask, "a mask")),
        "width": lambda: size()[0],
        "height": lambda: size()[1],
        "instructions": lambda: case.instructions,
        "prompt": lambda: case.prompt,
    }
    return EditBody(tasktype=body.tasktype, content=_filled(body.content, values))


def _filled(value: Any, values: Mapping[str, Callable[[], Any]]) -> Any:
    def value_of(found: re.Match[str]) -> Any:
        if found[1] not in values:
            raise CaseError(f"There is no placeholder {found[0]}; there are {', '.join(values)}.")
        return values[found[1]]()

    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if whole := _PLACEHOLDER.fullmatch(value):
        return value_of(whole)
    return _PLACEHOLDER.sub(lambda found: str(value_of(found)), value)
