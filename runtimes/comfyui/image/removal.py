"""Removes files of ComfyUI's folders: what a job left, once it is stored elsewhere."""

import os
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROUTE = "/sd-on-eks/discard"
"""POST here {files: [{filename, subfolder, type}], folders: [name]}."""
UPLOAD_FOLDERS = ("task-inputs", "3d/task-inputs")
FORGOTTEN_S = 6 * 3600
"""Older files are removed even if no request names them: an agent can die before it sends one."""


def remove(folders: Mapping[str, Path], body: Any) -> int:
    """Remove files that a request names; returns how many files and folders were named and are gone.

    Only what is inside the folders of the types input, output and temp is removed; of the input folder, only uploads
    of the platform. The body has ``files`` as the history lists them, and ``folders``: ids of prompts that have a
    folder among the outputs.
    """
    kept = {root.resolve() for root in (*folders.values(), *_upload_folders(folders))}
    named = body if isinstance(body, dict) else {}
    files = [path for file in named.get("files") or () if (path := _named(folders, file)) and path.is_file()]
    for path in files:
        path.unlink(missing_ok=True)
        _remove_empty(path.parent, kept)
    outputs = [folders["output"] / name for name in named.get("folders") or () if _is_prompt_id(name)]
    outputs = [folder for folder in outputs if folder.is_dir()]
    for folder in outputs:
        shutil.rmtree(folder, ignore_errors=True)
    return len(files) + len(outputs)


def remove_forgotten(folders: Mapping[str, Path], *, now_s: float | None = None) -> None:
    """Remove all uploads, outputs and temporary files that have not been written to for FORGOTTEN_S."""
    oldest_s = (time.time() if now_s is None else now_s) - FORGOTTEN_S
    for root in (*_upload_folders(folders), folders["output"], folders["temp"]):
        for folder, _, names in os.walk(root, topdown=False):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # it may be gone already
                    if path.lstat().st_mtime < oldest_s:
                        path.unlink()
            if Path(folder) != root:
                _remove_empty(Path(folder), {root})


def _upload_folders(folders: Mapping[str, Path]) -> list[Path]:
    return [folders["input"] / name for name in UPLOAD_FOLDERS]


def _named(folders: Mapping[str, Path], file: Any) -> Path | None:
    root = folders.get(str(file.get("type") or "output")) if isinstance(file, dict) else None
    if root is None:
        return None
    allowed = [one.resolve() for one in (_upload_folders(folders) if root == folders["input"] else [root])]
    path = (root / str(file.get("subfolder") or "") / str(file.get("filename") or "")).resolve()
    return path if any(path.is_relative_to(one) for one in allowed) else None


def _remove_empty(folder: Path, roots: set[Path]) -> None:
    while folder not in roots:
        try:
            folder.rmdir()
        except OSError:
            return  # it is not empty
        folder = folder.parent


def _is_prompt_id(name: Any) -> bool:
    try:
        return isinstance(name, str) and str(uuid.UUID(name)) == name
    except ValueError:
        return False
