"""config.yaml as the script handles it: what it may overwrite, and what belongs to the operator."""

import hashlib
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from configuration.config import Config
from configuration.file import ConfigFileError, load_config
from deploy.errors import DeployError

_MARK = "# Written by deploy/deploy.sh. Edit it freely: an edited file is kept. Checksum of what follows: "
_GUIDE = "# Every key with its default: docs/configuration.md."


class ConfigYaml:
    """The file at a path, which may be missing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_edited(self) -> bool:
        """Whether the operator wrote it, or changed what the script wrote."""
        if not self.path.exists():
            return False
        first, _, rest = self.path.read_text(encoding="utf-8").partition("\n")
        return first != _MARK + _checksum(rest)

    def load(self) -> Config:
        """Read and check it.

        Raises:
            DeployError: It is invalid.
        """
        try:
            return load_config(self.path)
        except ConfigFileError as exc:
            raise DeployError(str(exc), "Correct these lines, or move the file away: a new one is written.") from exc

    def write(self, content: dict[str, Any]) -> Path | None:
        """Replace it; keep an operator's file under another name, and return that name."""
        kept = None
        if self.is_edited:
            names = (self.path.with_name(f"{self.path.name}.{number}.bak") for number in count(1))
            kept = next(path for path in names if not path.exists())
            self.path.rename(kept)
        body = f"{_GUIDE}\n{yaml.safe_dump(content, sort_keys=False, width=120)}"
        self.path.write_text(f"{_MARK}{_checksum(body)}\n{body}", encoding="utf-8")
        return kept


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
