"""Moments of a picture on its way through the server, on the machine's monotonic clock, which all processes share."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "FLUX_BENCH_STAMPS"
"""Environment: the file that the worker writes them to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """One picture's moments, in seconds.

    Attributes:
        job: Its job.
        began: The pipeline was asked for it.
        decoded: The autoencoder had left its pixels, as a tensor.
        drawn: The pipeline had given it back.
        encoding: Finishing and encoding began.
        encoded: They had ended.
    """

    job: str
    began: float
    decoded: float
    drawn: float
    encoding: float
    encoded: float

    def added_s(self, answered: float) -> float:
        """Seconds from the decoded tensor until its answer was there, besides encoding.

        Args:
            answered: The caller had read the last byte.
        """
        return (self.encoding - self.decoded) + (answered - self.encoded)


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Add a stamp to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(stamp)) + "\n")


def read_stamps(path: Path) -> dict[str, Stamp]:
    """Read all stamps of a file, by job."""
    stamps = (Stamp(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
    return {stamp.job: stamp for stamp in stamps}
