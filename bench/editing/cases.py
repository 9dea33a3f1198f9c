"""Cases of editing: what is asked, of which picture, and what should come of it."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

FILE = "cases.json"


class BenchError(Exception):
    """The bench cannot go on; the message says why and what to do."""


class Body(BaseModel):
    """A task's type and content in a runtime's own words, with placeholders that bench.editing.contents fills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasktype: str
    content: dict[str, Any]


class Case(BaseModel):
    """One picture to be edited. File names lead from the folder of cases."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """Its name; unique in the folder."""
    kind: str = "other"
    """Cases of one kind are summed up together."""
    instructions: str = ""
    """What is to be changed, for models that edit."""
    prompt: str = ""
    """What the picture shows afterwards, for models that draw."""
    input: str | None = None
    """File of the picture to edit."""
    mask: str | None = None
    """File of the mask: white may change, black stays."""
    reference: str | None = None
    """File of the expected picture."""
    body: Body | None = None
    """The task in a runtime's own words, instead of the template's."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often load tests post it, compared with others."""

    @field_validator("input", "mask", "reference")
    @classmethod
    def _lies_in_the_folder(cls, value: str | None) -> str | None:
        if value is not None and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise ValueError("must be a file in the folder of cases")
        return value


class CaseFolder(BaseModel):
    """A folder of cases: cases.json and the files that it names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

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
        BenchError: There are none, or they are faulty, or files are missing.
    """
    path = folder / FILE
    try:
        cases = CaseFolder.model_validate_json(path.read_bytes()).cases
    except OSError as exc:
        raise BenchError(f"{path} cannot be read. Make cases with: python -m bench.editing make {folder}") from exc
    except ValidationError as exc:
        raise BenchError(f"{path} is faulty: {exc}") from exc
    names = [name for case in cases for name in (case.input, case.mask, case.reference) if name is not None]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise BenchError(f"{path} names {missing[0]}, which is not there.")
    return cases


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write cases.json; what is not said of a case is left out."""
    text = CaseFolder(cases=list(cases)).model_dump_json(indent=2, exclude_defaults=True)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
