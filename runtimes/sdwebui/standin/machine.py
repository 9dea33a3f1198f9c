"""The state of an SD WebUI: options, checkpoints, progress, and the lock that lets one job run at a time."""

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from runtimes.sdwebui.standin.errors import broken
from runtimes.standin.control import Control

_FOLDER = Path(__file__).parent
CATALOG: dict[str, Any] = json.loads((_FOLDER / "catalog.json").read_text())
"""The server's fixed lists: samplers, schedulers, upscalers, scripts."""
_DEFAULT_OPTIONS: dict[str, Any] = json.loads((_FOLDER / "options.json").read_text())
_MODELS_FOLDER = "/srv/sdwebui/models/Stable-diffusion"


@dataclass
class Checkpoint:
    """A checkpoint file; its hash is known after the first load."""

    name: str
    hashed: bool = False

    @property
    def model_name(self) -> str:
        """The file's name without its extension."""
        return str(PurePosixPath(self.name).with_suffix(""))

    @property
    def sha256(self) -> str:
        """The hash of the name, since the file does not exist."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the entry in GET sd-models; the title includes the hash after the first load."""
        return {
            "title": f"{self.name} [{self.sha256[:10]}]" if self.hashed else self.name,
            "model_name": self.model_name,
            "hash": self.sha256[:10] if self.hashed else None,
            "sha256": self.sha256 if self.hashed else None,
            "filename": f"{_MODELS_FOLDER}/{self.name}",
            "config": f"{_MODELS_FOLDER}/{self.model_name}.yaml",
        }


@dataclass(kw_only=True)
class WebuiProgress:
    """What GET progress shows of the running job, without its name; `interrupted` stays until the next job starts."""

    job: str = ""
    job_count: int = 0
    job_timestamp: str = "0"
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0
    interrupted: bool = False
    skipped: bool = False
    stopping_generation: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the answer of GET progress."""
        share = 0.0
        if self.job_count > 0:
            share = 0.01 + (self.job_no + self.sampling_step / max(1, self.sampling_steps)) / self.job_count
        told = {"progress": min(share, 1.0), "eta_relative": 0.0, "state": vars(self)}
        return {**told, "current_image": None, "textinfo": None}


class WebuiMachine:
    """The state that requests share.

    Attributes:
        saved: All options that were ever set.
        paint_preview: Paints the current picture of the running job, in base64; None if it draws nothing.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.options = dict(_DEFAULT_OPTIONS)
        self.saved: dict[str, Any] = {}
        self.checkpoints: list[Checkpoint] = []
        self.loaded: Checkpoint | None = None
        self.progress = WebuiProgress()
        self.paint_preview: Callable[[], str] | None = None
        self._previewed: tuple[int, str | None] = (0, None)
        self._lock = asyncio.Lock()
        self._numbers = itertools.count(1)
        self.refresh_checkpoints()
        if self.checkpoints:
            self.load_checkpoint()

    def refresh_checkpoints(self) -> None:
        """List the files that are there; what is loaded stays."""
        known = {one.name: one for one in self.checkpoints}
        names = () if self.control.faults.late_models else self.control.models
        self.checkpoints = [known.get(name) or Checkpoint(name) for name in names]

    def find_checkpoint(self, alias: object) -> Checkpoint | None:
        """Find a checkpoint by its name, file name, title or hash."""
        keys = ("title", "model_name", "hash", "sha256")
        found = (one for one in self.checkpoints if alias in (one.name, *(one.as_json()[key] for key in keys)))
        return next(found, None) if alias is not None else None

    def load_checkpoint(self) -> Checkpoint:
        """Load the options' checkpoint, or keep the loaded one; the options then show its title with the hash.

        Raises:
            WebuiError: There are no checkpoints.
        """
        if not self.checkpoints:
            words = f"No checkpoints found. When searching for checkpoints, looked at:\n - directory {_MODELS_FOLDER}"
            raise broken("FileNotFoundError", words)
        wanted = self.find_checkpoint(self.options["sd_model_checkpoint"])
        self.loaded = wanted or self.loaded or self.checkpoints[0]
        self.loaded.hashed = True
        self.set_option("sd_model_checkpoint", self.loaded.as_json()["title"])
        self.set_option("sd_checkpoint_hash", self.loaded.sha256)
        return self.loaded

    def reload_checkpoint(self) -> dict[str, Any]:
        """Load a checkpoint where none is loaded, any one if the options name none; return the answer.

        Raises:
            WebuiError: There are no checkpoints.
        """
        if self.loaded is None and not self.checkpoints:
            raise broken("AttributeError", "'NoneType' object has no attribute 'lowvram'")
        if self.loaded is None:
            self.load_checkpoint()
        return {}

    def read_options(self) -> dict[str, Any]:
        """Return the options.

        Raises:
            WebuiError: A number was set to what is none.
        """
        for key, default in _DEFAULT_OPTIONS.items():
            if isinstance(default, int | float) and not isinstance(default, bool):
                try:
                    float(self.options[key])
                except (TypeError, ValueError) as exc:
                    words = "value is not a valid float (type=type_error.float)"
                    error = f"1 validation error for Options\nresponse -> {key}\n  {words}"
                    raise broken("ValidationError", error) from exc
        return self.options

    async def current_image(self) -> str | None:
        """The picture of the running job, painted again after the number of steps in the options."""
        paint, step, options = self.paint_preview, self.progress.sampling_step, self.options
        if paint is None:
            return None
        every = options["show_progress_every_n_steps"]
        if options["live_previews_enable"] and every > 0 and step - self._previewed[0] >= every:
            self._previewed = step, await asyncio.to_thread(paint)
        return self._previewed[1]

    def interrupt(self) -> dict[str, Any]:
        """End the running job after its current step; return the answer."""
        self.progress.interrupted = True
        return {}

    def set_option(self, key: str, value: Any) -> None:
        """Set an option to any value, of any type.

        Raises:
            WebuiError: There is no such option.
        """
        if key not in self.options:
            raise broken("KeyError", repr(key))
        self.options[key] = self.saved[key] = value

    async def set_options(self, change: dict[str, Any]) -> None:
        """Set options one by one; for a checkpoint, wait for the running job and load it.

        Raises:
            WebuiError: A checkpoint or an option does not exist; the options before it are kept.
        """
        wanted = change.get("sd_model_checkpoint")
        if wanted is not None and self.find_checkpoint(wanted) is None:
            raise broken("RuntimeError", f"model {wanted!r} not found")
        for key, value in change.items():
            self.set_option(key, value)
            if key == "sd_model_checkpoint":
                async with self._lock:
                    self.load_checkpoint()

    @asynccontextmanager
    async def job(self, kind: str, name: str | None = None) -> AsyncIterator[None]:
        """Hold the server for a job: wait for its turn, show it as running, record how it ends.

        Raises:
            InjectedError: A fault makes the job fail.
        """
        async with self._lock:
            progress = self.progress = WebuiProgress(
                job=kind, job_count=-1, job_timestamp=time.strftime("%Y%m%d%H%M%S")
            )
            self.paint_preview, self._previewed = None, (0, None)
            entry = self.control.open_job(name or f"{kind}-{next(self._numbers)}", kind)
            try:
                await self.control.meet_job()
                yield
            except Exception:
                entry.close("error")
                raise
            finally:
                entry.close("interrupted" if progress.interrupted else "success")
                progress.job, progress.job_count, self.paint_preview = "", 0, None
