"""What a run found, as it stands in results.json."""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

FILE = "results.json"
PICTURES = "pictures"
"""Folder of the pictures that came, beside results.json."""


class _Found(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Scores(_Found):
    """How like its reference a picture is."""

    psnr_db: float
    ssim: float
    lpips: float | None = None
    """None where LPIPS cannot be computed."""


class Timings(_Found):
    """How long a case took, in seconds; None where nobody told."""

    total_s: float
    """From the request until its notice was heard."""
    server_s: float | None = None
    """In the model server."""
    preview_s: float | None = None
    """In the model server until the preview was there."""


class CaseResult(_Found):
    """What became of a case."""

    case: str
    """Its id."""
    problem: str | None = None
    """What went wrong; None where a picture came."""
    picture: str | None = None
    """File of the picture, from where results.json lies."""
    timings: Timings | None = None
    """None where no notice was heard."""
    scores: Scores | None = None
    """None without a picture or a reference."""
    unedited: Scores | None = None
    """What the input as it is would have got."""


class Usage(_Found):
    """What the run took of the machines."""

    cpu_percent: float | None = None
    """Of this machine, mean."""
    ram_bytes: int | None = None
    """Of this machine, most at once."""
    sent_bytes: int | None = None
    """By this machine, in all."""
    received_bytes: int | None = None
    """By this machine, in all."""
    server_vram_bytes: int | None = None
    """Of the model server's GPUs, most at once."""
    server_ram_bytes: int | None = None
    """Of the model server's processes, most at once."""


class Run(_Found):
    """A run of all cases."""

    id: str
    """Begins the ids of its tasks."""
    began: datetime
    runtime: str
    template: str
    concurrency: int
    """How many tasks were under way at once."""
    wall_s: float
    """From the first request until the last picture was fetched."""
    results: list[CaseResult]
    usage: Usage
    fid: float | None = None
    """Distance of all pictures from all references; None where it cannot be computed."""
    remarks: list[str] = []
    """Why figures are missing."""

    def write(self, folder: Path) -> None:
        """Write results.json."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
