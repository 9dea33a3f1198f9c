"""Reads icons from a folder or a file of the operator's, and puts their pictures into the bucket.

A folder has ``library.json``, whose s3_urls may be paths in the folder; or it only has pictures, which are then named
and described by their file names, with their folder as category.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract import strict_json
from contract.field_errors import FieldError
from contract.objects import s3_url
from icons.icon import Icon
from icons.library import IconLibrary, LibraryError
from icons.storage import Storage
from icons.store import LIBRARY, PREFIX

IMPORTED = "imported/"
"""Where imported pictures are, under the library's prefix."""
_SUFFIXES = frozenset({".svg", ".png", ".webp", ".jpg", ".jpeg"})
_WORDS = re.compile(r"[-_.\s]+")
_UPLOADS = 16


@dataclass(frozen=True, slots=True)
class IconFolder:
    """Icons that are to be imported.

    Attributes:
        library: Whose s3_urls are where the pictures will be.
        files: The pictures that go there, by their names under the library's prefix.
    """

    library: IconLibrary
    files: Mapping[str, Path]

    @classmethod
    def read(cls, path: Path, bucket: str) -> "IconFolder":
        """Read a folder, or a file of JSON; pictures will go to ``bucket``.

        Raises:
            LibraryError: It has errors; all of them are named.
            OSError: It cannot be read.
        """
        folder = path if path.is_dir() else path.parent
        file = path / LIBRARY if path.is_dir() else path
        if path.is_dir() and not file.exists():
            data: Any = [_described(picture, folder) for picture in _pictures(folder)]
            if not data:
                raise LibraryError([FieldError("", f"{path} has neither {LIBRARY} nor pictures")])
        else:
            try:
                data = strict_json.loads(file.read_bytes(), max_values=None)
            except ValueError as exc:
                raise LibraryError([FieldError("", str(exc))]) from None
        place = f"{IMPORTED}{folder.resolve().name}/"
        files: dict[str, Path] = {}
        errors: list[FieldError] = []
        for number, icon in enumerate(data if isinstance(data, list) else ()):
            url = icon.get("s3_url") if isinstance(icon, dict) else None
            if not isinstance(url, str) or "://" in url:
                continue
            picture = (folder / url).resolve()
            if not picture.is_relative_to(folder.resolve()) or not picture.is_file():
                errors.append(FieldError(f"[{number}].s3_url", f"names no file of {folder}, and is no URL"))
                continue
            files[f"{place}{url}"] = picture
        if errors:
            raise LibraryError(errors)
        return cls(IconLibrary.from_list(data, s3_url(bucket, PREFIX + place)), files)

    def upload(self, storage: Storage, icons: Iterable[Icon] | None = None) -> None:
        """Put the pictures under the library's prefix; all, or those of some icons."""
        names = self.files if icons is None else [name for icon in icons if (name := self._name_of(icon)) in self.files]
        with ThreadPoolExecutor(_UPLOADS, "icon-upload") as threads:
            list(threads.map(lambda name: storage.write(name, self.files[name].read_bytes()), names))

    @staticmethod
    def _name_of(icon: Icon) -> str:
        return icon.s3_url.partition(f"/{PREFIX}")[2]


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def _described(picture: Path, folder: Path) -> dict[str, Any]:
    where = picture.relative_to(folder)
    category = "" if where.parent == Path() else where.parent.name
    words = _WORDS.sub(" ", picture.stem).strip()
    return {
        "key": "-".join((*where.parent.parts, picture.stem)),
        "description": words or picture.stem,
        "s3_url": where.as_posix(),
        "category": category,
    }
