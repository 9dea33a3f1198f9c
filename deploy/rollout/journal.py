"""What earlier runs have done, so that a later one says so and finds what they made. Never believed without a look."""

import json
import time
from pathlib import Path
from typing import Any

JOURNALS = Path(".local") / "deploy"
"""Where journals are, from the repository's root."""
SNAPSHOT = "snapshot"
"""Under which a journal keeps the snapshot that was made: its id and its images."""


class Journal:
    """A small file beside the checkout, one for each deployment.

    Args:
        folder: Where it is kept.
        stack: Name of the CloudFormation stack.
        region: Its region.
    """

    def __init__(self, folder: Path, *, stack: str, region: str) -> None:
        self._path = folder / f"{stack}-{region}.json"

    def finished(self, step: str, seconds: float) -> None:
        """Note that a step is done."""
        content = self._read()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        content["steps"] = {**content.get("steps", {}), step: {"finished": now, "seconds": round(seconds, 1)}}
        self._write(content)

    def remember(self, name: str, value: Any) -> None:
        """Keep something that a step has made."""
        self._write({**self._read(), name: value})

    def recall(self, name: str) -> Any:
        """What was kept under that name; None if nothing was."""
        return self._read().get(name)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(self._path)
