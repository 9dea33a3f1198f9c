"""Writes the tables of docs/bedrock.md from the code: ``python -m docs.bedrock_tables``."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from docs.tables import table, write
from runtimes.bedrock.families import ENDED, FAMILIES, TASK_TYPES, BedrockFamily, BodyField

PAGE = Path(__file__).with_name("bedrock.md")


def models() -> str:
    """The models that run."""
    head = ("Model", "`model.id`", "Task types", "Regions", "Dollars a picture")
    return table(head, map(_model_row, FAMILIES.values()))


def _model_row(family: BedrockFamily) -> Iterator[str]:
    yield family.title
    yield f"`{family.model}`"
    yield ", ".join(f"`{task_type}`" for task_type in family.bodies)
    yield ", ".join(family.regions)
    yield f"{family.price_usd:.2f}"


def ended() -> str:
    """Models that have ended."""
    return table(("Model", "Ended"), ((f"`{model}`", date) for model, date in ENDED.items()))


def bodies() -> str:
    """The names of each body's fields."""
    head = ("Task type", "Model", "Required", "Optional")
    return table(head, (row for task_type in TASK_TYPES for row in _body_rows(task_type)))


def _body_rows(task_type: str) -> Iterator[tuple[str, ...]]:
    for family in FAMILIES.values():
        if (body := family.bodies.get(task_type)) is not None:
            required = ", ".join(f"`{name}`" for name, field in body.items() if field.required)
            optional = ", ".join(f"`{name}`" for name, field in body.items() if not field.required)
            yield f"`{task_type}`", family.title, required or "nothing", optional


def fields() -> str:
    """What each field takes; those of one name that differ have rows of their own."""
    users: dict[str, dict[BodyField, list[str]]] = {}
    for task_type in TASK_TYPES:
        for family in FAMILIES.values():
            for name, field in family.bodies.get(task_type, {}).items():
                users.setdefault(name, {}).setdefault(field, []).append(family.title)
    rows = (
        _field_row(name, field, titles if len(kinds) > 1 else [])
        for name, kinds in sorted(users.items())
        for field, titles in kinds.items()
    )
    return table(("Field", "Takes", "Default", "Meaning"), rows)


def _field_row(name: str, field: BodyField, titles: list[str]) -> tuple[str, ...]:
    default = "required" if field.required else "none" if field.default is None else f"`{field.default}`"
    of = f" ({', '.join(dict.fromkeys(titles))})" if titles else ""
    return f"`{name}`", _takes(field), default, field.words.rstrip(".") + of + "."


def _takes(field: BodyField) -> str:
    if field.choices:
        return ", ".join(f"`{choice}`" for choice in field.choices)
    if field.type == "picture":
        return "picture"
    if field.type == "string":
        return f"text, at most {field.max} characters"
    kind = "whole number" if field.type == "integer" else "number"
    return f"{kind}, {field.min or 0} to {field.max}"


TABLES: Mapping[str, Callable[[], str]] = {one.__name__: one for one in (models, ended, bodies, fields)}

if __name__ == "__main__":
    write(PAGE, TABLES)
