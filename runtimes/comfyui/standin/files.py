"""ComfyUI's three folders, kept under a temporary one and shown under the real server's paths."""

import posixpath
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SHOWN_ROOT = "/srv/comfyui"
KINDS = ("input", "output", "temp")


class OutsideFolderError(Exception):
    """A prefix leads out of the output folder."""


@dataclass(frozen=True)
class Spot:
    """Where the next files of a prefix go: a folder, the name's stem and the first free number."""

    folder: Path
    subfolder: str
    stem: str
    number: int


class Folders:
    """The folders for input, output and temporary files."""

    def __init__(self) -> None:
        self._held = tempfile.TemporaryDirectory(prefix="standin-")
        self.root = Path(self._held.name)
        for kind in KINDS:
            (self.root / kind).mkdir()

    def discard(self) -> None:
        """Remove everything."""
        self._held.cleanup()

    def inside(self, kind: str, *parts: str) -> Path | None:
        """Return the path of the parts in a folder, or None if they lead out of it."""
        base = self.root / kind
        path = Path(posixpath.normpath(posixpath.join(str(base), *parts)))
        return path if path.is_relative_to(base) else None

    def input_file(self, name: str) -> Path | None:
        """Return the file that a loading node names, or None if there is none.

        A name may end in " [output]" or " [temp]" to mean another folder.
        """
        kind, plain = "input", name
        for other in KINDS:
            if name.endswith(f" [{other}]"):
                kind, plain = other, name.removesuffix(f" [{other}]")
        path = self.inside(kind, plain)
        return path if path is not None and path.is_file() else None

    def input_names(self) -> list[str]:
        """Return the names of the files right in the input folder."""
        return sorted(path.name for path in (self.root / "input").iterdir() if path.is_file())

    def spot(self, kind: str, prefix: str, size: tuple[int, int] = (0, 0)) -> Spot:
        """Return where files of the prefix go next; %width%, %height% and the parts of the date are filled in.

        Raises:
            OutsideFolderError: The prefix leads out of the folder.
        """
        now = time.localtime()
        filled = {"width": size[0], "height": size[1], "year": now.tm_year, "month": f"{now.tm_mon:02}"}
        filled |= {"day": f"{now.tm_mday:02}", "hour": f"{now.tm_hour:02}", "minute": f"{now.tm_min:02}"}
        for key, value in {**filled, "second": f"{now.tm_sec:02}"}.items():
            prefix = prefix.replace(f"%{key}%", str(value))
        subfolder, stem = posixpath.split(posixpath.normpath(prefix))
        folder = self.inside(kind, subfolder)
        if folder is None:
            raise OutsideFolderError(_outside_words(kind, subfolder))
        folder.mkdir(parents=True, exist_ok=True)
        pattern = re.compile(re.escape(stem) + r"_(\d+)_?\.")
        numbers = [int(found[1]) for path in folder.iterdir() if (found := pattern.match(path.name))]
        return Spot(folder, subfolder, stem, max(numbers, default=0) + 1)


def _outside_words(kind: str, subfolder: str) -> str:
    base = f"{SHOWN_ROOT}/{kind}"
    folder = posixpath.normpath(posixpath.join(base, subfolder))
    return (
        "**** ERROR: Saving image outside the output folder is not allowed.\n"
        f" full_output_folder: {folder}\n         output_dir: {base}\n"
        f"         commonpath: {posixpath.commonpath([folder, base])}"
    )
