"""Reads config.yaml with the line of every key. Needs PyYAML, which the Lambdas leave out."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from configuration.config import Config, ConfigError, parse_config
from contract.field_errors import FieldError, FieldPath, field_path, shown


class ConfigFileError(ConfigError):
    """A configuration file has errors; the message gives each one with its line."""

    def __init__(self, path: Path, errors: list[FieldError], lines: dict[str, int]) -> None:
        super().__init__(errors)
        self.path = path
        self._lines = lines

    def __str__(self) -> str:
        count = f"{len(self.errors)} error{'s' if len(self.errors) > 1 else ''}"
        rows = [
            f"  line {self.line(error)}: {error.pointer or 'the file'} {error.detail}"
            for error in sorted(self.errors, key=self.line)
        ]
        return "\n".join([f"{self.path} has {count}:", *rows])

    def line(self, error: FieldError) -> int:
        """The line, from 1, of the error's field, or of the nearest key around it."""
        field = error.pointer
        while field and field not in self._lines:
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        return self._lines.get(field, 1)


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigFileError: The file is not YAML, or has errors.
        OSError: The file cannot be read.
    """
    raw = path.read_bytes()
    lines: dict[str, int] = {}
    try:
        text = raw.decode("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise ConfigFileError(path, [FieldError("", "is empty")], lines)
        duplicates = list(_index_lines(node, (), lines))
        if unreadable := list(_unreadable(node, ())):
            raise ConfigFileError(path, duplicates + unreadable, lines)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigFileError(path, [FieldError("", f"is not UTF-8 (byte {exc.start})")], {"": line}) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        line, problem = _yaml_problem(exc, text)
        raise ConfigFileError(path, [FieldError("", problem)], {"": line}) from exc
    try:
        config = parse_config(data)
    except ConfigError as exc:
        raise ConfigFileError(path, duplicates + exc.errors, lines) from exc
    if duplicates:
        raise ConfigFileError(path, duplicates, lines)
    return config


_COLON_TOO_MANY = "mapping values are not allowed"
_NO_COLON = "could not find expected ':'"
_LIKE_A_KEY = r"\w+(:[^ ]((?!:( |$)).)*)"
_SEEN_BELOW = {
    _COLON_TOO_MANY: re.compile(rf"{_LIKE_A_KEY}?|\w+ ((?!:( |$)).)*"),
    "expected <block end>": re.compile(_LIKE_A_KEY),
    "expected '<document start>'": re.compile(_LIKE_A_KEY),
}
"""A key that lacks its colon, or the blank after it, is a text to YAML, which stops in a line below.

The error that it finds there, and how the line above looks then.
"""
_MISFIT = "does not fit under the lines above it; keys of one section begin in the same column"
_YAML_PROBLEMS = {
    "expected <block end>": _MISFIT,
    "expected '<document start>'": _MISFIT,
    _COLON_TOO_MANY: "has a colon too many, or is indented further than the line above it; "
    "put a text with a colon in it in quotes",
    "found character '\\t'": "is indented with a tab; indent with blanks",
    "cannot start any token": "begins with a character that means something in YAML; put the text in quotes",
    _NO_COLON: "lacks a colon and a blank after a key",
    "expected ',' or": "has a bracket that is not closed, or a comma is missing",
    "unexpected end of stream": "has a quote that is not closed",
    "unknown escape character": "has a backslash in double quotes; use single quotes",
    "undefined alias": "begins a text with *; put the text in quotes",
    "expected alphabetic or numeric character": "begins a text with * or &; put the text in quotes",
    "constructor for the tag": "has a tag, as !Ref, which means nothing here",
    "unhashable key": "has a list or an object as a key; put a text with { or [ in it in quotes",
    "another document": "begins a second document; the file holds one",
    "expected the node content": "lacks a value; put a text that begins with one of ,]}%@` in quotes",
    "special characters are not allowed": "holds a control character",
}
"""PyYAML's messages, and what they mean to the author of the line."""


_SEEN_AT_THE_END = ("unexpected end of stream", "expected ',' or", _NO_COLON)
"""What is left open is seen where the file ends, or later; its author looks for where it begins."""


def _yaml_problem(error: Exception, text: str) -> tuple[int, str]:
    """The line, from 1, that is to be changed, and what is wrong with it."""
    if isinstance(error, RecursionError):
        return 1, "is nested too deeply, or repeats too much of itself by *"
    said = str(getattr(error, "problem", None) or error)
    words = next((words for known, words in _YAML_PROBLEMS.items() if known in said), "cannot be read as YAML")
    line, lines = _line_of(error, text), text.splitlines()
    for known, looks in _SEEN_BELOW.items():
        if known in said and (above := _last(lines[: line - 1])) and looks.fullmatch(above[1]):
            line, words = above[0], _YAML_PROBLEMS[_NO_COLON]
    seen = next(iter(lines[line - 1 : line]), "").strip()
    return line, f"{words}: {shown(seen)}" if seen else words


def _line_of(error: Exception, text: str) -> int:
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position) + 1
    begun, seen = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    is_open = any(words in str(getattr(error, "problem", "")) for words in _SEEN_AT_THE_END)
    mark = begun if begun and (is_open or not seen) else seen
    return mark.line + 1 if mark else 1


def _last(lines: list[str]) -> tuple[int, str] | None:
    """Number and content of the last line that is neither empty nor a comment."""
    contents = [(number, line.strip(" ").removeprefix("- ")) for number, line in enumerate(lines, 1)]
    return next((one for one in reversed(contents) if one[1] and not one[1].startswith("#")), None)


_MAX_VALUES = 100_000
"""With what aliases repeat, which multiplies from level to level."""


def _index_lines(node: yaml.Node, at: FieldPath, lines: dict[str, int]) -> Iterator[FieldError]:
    """Note the line of every key below a node; give the keys that stand there twice."""
    if len(lines) > _MAX_VALUES:
        raise RecursionError
    for step, key, value in _entries(node):
        here = (*at, step)
        path = field_path(here)
        if path in lines:
            yield FieldError(path, f"is set twice (first in line {lines[path]})")
        lines[path] = key.start_mark.line + 1
        yield from _index_lines(value, here, lines)


def _unreadable(node: yaml.Node, at: FieldPath) -> Iterator[FieldError]:
    """What looks like a number or a date and is none that Python has."""
    for step, _, value in _entries(node):
        yield from _unreadable(value, (*at, step))
    if isinstance(node, yaml.ScalarNode):
        try:
            SafeConstructor().construct_object(node)
        except yaml.YAMLError:
            return  # reported with its line where the whole is read
        except ValueError:
            yield FieldError(field_path(at), f"is a number or a date that cannot be: {shown(node.value)}")


def _entries(node: yaml.Node) -> list[tuple[str | int, yaml.Node, yaml.Node]]:
    """What is in a mapping or a list: the step to each entry, the node that has its line, and its value."""
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), key, value) for key, value in node.value]
    return [(index, item, item) for index, item in enumerate(node.value)] if isinstance(node, yaml.SequenceNode) else []
