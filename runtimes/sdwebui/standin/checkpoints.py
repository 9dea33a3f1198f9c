"""The checkpoints that the server says it has, and the one that is loaded."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from runtimes.sdwebui.standin.errors import BrokenError

MODELS_FOLDER = "/srv/sdwebui/models/Stable-diffusion"


@dataclass
class Checkpoint:
    """One checkpoint file; its hash is known once it was loaded."""

    name: str
    hashed: bool = False

    @property
    def model_name(self) -> str:
        """The file's name without its ending."""
        return str(PurePosixPath(self.name).with_suffix(""))

    @property
    def sha256(self) -> str:
        """The hash of the file that is not there: that of its name."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def title(self) -> str:
        """The name that the options show; it gains the hash with the first load."""
        return f"{self.name} [{self.sha256[:10]}]" if self.hashed else self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name by which a request may call it."""
        known = (self.sha256, self.sha256[:10], f"{self.model_name} [{self.sha256[:10]}]") if self.hashed else ()
        return (self.name, self.model_name, self.title, *known)

    def as_json(self) -> dict[str, Any]:
        """Return the entry of GET sd-models."""
        return {
            "title": self.title,
            "model_name": self.model_name,
            "hash": self.sha256[:10] if self.hashed else None,
            "sha256": self.sha256 if self.hashed else None,
            "filename": f"{MODELS_FOLDER}/{self.name}",
            "config": f"{MODELS_FOLDER}/{self.model_name}.yaml",
        }


class Checkpoints:
    """All checkpoints; the first is loaded at the start."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.all = [Checkpoint(name) for name in names]
        self.loaded: Checkpoint | None = None
        # A model that is unloaded under a running job paints black until it is loaded again.
        self.spoiled = False

    def find(self, alias: object) -> Checkpoint | None:
        """Return the checkpoint of that name, file name, title or hash."""
        return next((one for one in self.all if alias in one.aliases), None)

    def load(self, wanted: object) -> Checkpoint:
        """Load the wanted checkpoint, else the first, and return it; loading what is loaded changes nothing.

        Raises:
            BrokenError: There is none at all.
        """
        if not self.all:
            words = (
                "No checkpoints found. When searching for checkpoints, looked at:\n"
                f" - file /srv/sdwebui/model.ckpt\n - directory {MODELS_FOLDER}Can't run without a checkpoint. "
                "Find and place a .ckpt or .safetensors file into any of those locations."
            )
            raise BrokenError("FileNotFoundError", words)
        checkpoint = self.find(wanted) or self.loaded or self.all[0]
        if checkpoint is not self.loaded:
            self.spoiled = self.spoiled and self.loaded is None
            self.loaded = checkpoint
            checkpoint.hashed = True
        return checkpoint

    def unload(self, *, running: bool) -> None:
        """Drop the loaded model; under a running job this spoils it."""
        self.spoiled = running
        self.loaded = None

    def reload(self, wanted: object) -> None:
        """Load the model again, which also repairs a spoiled one."""
        self.spoiled = False
        if self.all:
            self.load(wanted)
