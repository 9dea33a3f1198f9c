"""Gives ComfyUI a route by which the agent has a job's files removed; ComfyUI loads this as a custom node."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import folder_paths  # type: ignore[import-not-found]  # ComfyUI's own
from aiohttp import web
from server import PromptServer  # type: ignore[import-not-found]  # ComfyUI's own

from runtimes.comfyui.image.removal import ROUTE, remove, remove_forgotten

NODE_CLASS_MAPPINGS: dict[str, Any] = {}

_LOOK_EVERY_S = 600

_looked_s = float("-inf")


@PromptServer.instance.routes.post(ROUTE)  # type: ignore[untyped-decorator]
async def discard(request: web.Request) -> web.Response:
    """Remove the files that are named; now and then also those that nobody came back for."""
    global _looked_s  # noqa: PLW0603 (ComfyUI gives a custom node no place of its own)
    folders = {
        "input": Path(folder_paths.get_input_directory()),
        "output": Path(folder_paths.get_output_directory()),
        "temp": Path(folder_paths.get_temp_directory()),
    }
    gone = await asyncio.to_thread(remove, folders, await request.json())
    if _looked_s + _LOOK_EVERY_S < time.monotonic():
        _looked_s = time.monotonic()
        await asyncio.to_thread(remove_forgotten, folders)
    disk = shutil.disk_usage(folders["output"])
    return web.json_response({"removed": gone, "free_bytes": disk.free, "total_bytes": disk.total})
