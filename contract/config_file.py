"""Reads config.yaml with the line of every key. Needs PyYAML, which the Lambdas leave out."""

from pathlib import Path

import yaml

from contract.config import Config, ConfigError, parse_config
from contract.faults import Fault, field_path


class ConfigFileError(ConfigError):
    """A configuration file has faults; the message gives each one with its line."""

    def __init__(self, path: Path, faults: list[Fault], lines: dict[str, int]) -> None:
        super().__init__(faults)
        self.path = path
        self._lines = lines

    def __str__(self) -> str:
        count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
        rows = [
            f"  line {self.line(fault)}: {fault.field} {fault.problem}".rstrip()
            for fault in sorted(self.faults, key=self.line)
        ]
        return "\n".join([f"{self.path} has {count}:", *rows])

    def line(self, fault: Fault) -> int:
        """The line, from 1, of the fault's field, or of the nearest key around it."""
        field = fault.field
        while field and field not in self._lines:
            field = field[: max(field.rfind("."), field.rfind("["), 0)]
        return self._lines.get(field, 1)


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigFileError: The file is not YAML, or has faults.
        OSError: The file cannot be read.
    """
    text = path.read_text(encoding="utf-8")
    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        duplicates = list(_index_lines(node, (), lines)) if node is not None else []
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as exc:
        where = exc.problem_mark or exc.context_mark
        raise ConfigFileError(path, [Fault("", str(exc.problem))], {"": where.line + 1 if where else 1}) from exc
    try:
        config = parse_config(data)
    except ConfigError as exc:
        raise ConfigFileError(path, duplicates + exc.faults, lines) from exc
    if duplicates:
        raise ConfigFileError(path, duplicates, lines)
    return config


def _index_lines(node: yaml.Node, at: tuple[str | int, ...], lines: dict[str, int]) -> list[Fault]:
    """Note the line of every key below a node; return the keys that stand there twice."""
    duplicates: list[Fault] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here: tuple[str | int, ...] = (*at, str(key.value))
            path = field_path(here)
            if path in lines:
                duplicates.append(Fault(path, f"is set twice (first in line {lines[path]})"))
            lines[path] = key.start_mark.line + 1
            duplicates += _index_lines(value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*at, index)
            lines[field_path(here)] = item.start_mark.line + 1
            duplicates += _index_lines(item, here, lines)
    return duplicates
