"""What a build sees: the files that the allow-list beside its Dockerfile lets through, and the tag made of them."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

_TAG_DIGITS = 12


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: str
    allows: bool

    @property
    def regex(self) -> re.Pattern[str]:
        parts = {r"\*\*/": "(?:.*/)?", r"\*\*": ".*", r"\*": "[^/]*", r"\?": "[^/]"}
        escaped = re.escape(self.pattern)
        return re.compile(re.sub(r"\\\*\\\*/|\\\*\\\*|\\\*|\\\?", lambda found: parts[found.group()], escaped))

    def covers(self, path: Path) -> bool:
        """Whether it matches the path or a folder above it, as Docker does."""
        return any(self.regex.fullmatch(one.as_posix()) for one in (path, *path.parents[:-1]))


def context_files(root: Path, dockerfile: Path) -> list[Path]:
    """List the files that Docker would send to a build, relative to the root and sorted.

    Args:
        root: The build's context.
        dockerfile: Path from there; ``NAME.dockerignore`` beside it must begin with ``*``.

    Raises:
        ValueError: The ignore file is no allow-list.
    """
    lines = (root / f"{dockerfile}.dockerignore").read_text().splitlines()
    rules = [_Rule(line.lstrip("!"), line.startswith("!")) for line in lines if line and not line.startswith("#")]
    if not rules or rules[0] != _Rule("*", allows=False):
        raise ValueError(f"{dockerfile}.dockerignore must ignore all, and then allow what is copied")
    allowed = [path for rule in rules if rule.allows for path in root.glob(rule.pattern)]
    candidates = {file for start in allowed for file in (start, *start.rglob("*")) if file.is_file()}
    relative = (file.relative_to(root) for file in candidates)
    return sorted(path for path in relative if _is_allowed(path, rules))


def _is_allowed(path: Path, rules: list[_Rule]) -> bool:
    return [rule.allows for rule in rules if rule.covers(path)][-1]


def project_version(root: Path) -> str:
    """The release that a checkout is of, which is also the chart's."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def content_tag(root: Path, dockerfile: Path) -> str:
    """Make an image's tag: the project's version and a hash of all that it is built from; one tag is one image.

    Args:
        root: The build's context.
        dockerfile: Path from there.

    Raises:
        ValueError: The ignore file beside the Dockerfile is no allow-list.
    """
    digest = hashlib.sha256()
    for path in (dockerfile, *context_files(root, dockerfile)):
        content = (root / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{project_version(root)}-{digest.hexdigest()[:_TAG_DIGITS]}"
