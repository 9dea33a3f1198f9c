"""What earlier runs have done, so that a later one says so and finds what they made. Never believed without a look."""

import json
import time
from pathlib import Path
from typing import Any


class Journal:
    """A small file below the checkout's root, one for each deployment: a stack in a region."""

    def __init__(self, root: Path, *, stack: str, region: str) -> None:
        self._path = root / ".local" / "deploy" / f"{stack}-{region}.json"

    def finished(self, step: str, seconds: float) -> None:
        """Note that a step is done."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        steps = self._read().get("steps", {})
        self._write("steps", {**steps, step: {"finished": now, "seconds": round(seconds, 1)}})

    @property
    def snapshot(self) -> dict[str, Any]:
        """The snapshot that was made, ``id`` and ``images``; empty where none was."""
        return dict(self._read().get("snapshot") or {})

    def remember_snapshot(self, snapshot: str, images: list[str]) -> None:
        """Keep a snapshot's id and the images in it."""
        self._write("snapshot", {"id": snapshot, "images": images})

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, name: str, value: Any) -> None:
        content = {**self._read(), name: value}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(self._path)
