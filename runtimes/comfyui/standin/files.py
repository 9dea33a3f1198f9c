"""ComfyUI's three folders, stored in a temporary folder, but shown with the real server's paths."""

import posixpath
import re
import tempfile
from pathlib import Path

SHOWN_ROOT = "/srv/comfyui"
KINDS = ("input", "output", "temp")


class OutsideFolderError(Exception):
    """A prefix points outside the output folder."""


class Folders:
    """The folders for input, output and temporary files."""

    def __init__(self) -> None:
        self._held = tempfile.TemporaryDirectory(prefix="standin-")
        self.root = Path(self._held.name)
        for kind in KINDS:
            (self.root / kind).mkdir()

    def discard(self) -> None:
        """Remove all folders."""
        self._held.cleanup()

    def names(self) -> list[str]:
        """Return all files, so that a test can see what jobs leave behind."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def inside(self, kind: str, *parts: str) -> Path | None:
        """Return the path of the parts in a folder, or None if it is outside."""
        base = self.root / kind
        path = Path(posixpath.normpath(posixpath.join(str(base), *parts)))
        return path if path.is_relative_to(base) else None

    def input_file(self, name: str) -> Path | None:
        """Find the file that a loading node names; None if there is none."""
        path = self.inside("input", name)
        return path if path is not None and path.is_file() else None

    def put(self, kind: str, prefix: str, suffix: str, data: bytes) -> dict[str, str]:
        """Write a file with its prefix's first free number, and return its entry in the history.

        Raises:
            OutsideFolderError: The prefix points outside the folder.
        """
        subfolder, stem = posixpath.split(posixpath.normpath(prefix))
        folder = self.inside(kind, subfolder)
        if folder is None:
            raise OutsideFolderError(
                "**** ERROR: Saving image outside the output folder is not allowed.\n"
                f" full_output_folder: {posixpath.normpath(f'{SHOWN_ROOT}/{kind}/{subfolder}')}\n"
                f"         output_dir: {SHOWN_ROOT}/{kind}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(re.escape(stem) + r"_(\d+)_?\.")
        taken = (int(found[1]) for path in folder.iterdir() if (found := pattern.match(path.name)))
        name = f"{stem}_{max(taken, default=0) + 1:05}_{suffix}"
        (folder / name).write_bytes(data)
        return {"filename": name, "subfolder": subfolder, "type": kind}
