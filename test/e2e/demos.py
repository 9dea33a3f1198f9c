"""``make demo`` and ``make demo-flux`` with a test's own folders."""

import os
import subprocess
from pathlib import Path

from PIL import Image

from test.kit.processes import ROOT


def make_demo(
    directory: Path, target: str, *variables: str, options: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    arguments = f"ARGS=--out={directory / 'out'} --state={directory / 'state'} {options}"
    command = ["make", "--no-print-directory", target, *variables, arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )


def pictures_of(directory: Path) -> dict[str, tuple[int, int]]:
    """The sizes of the only run's pictures, by name; reads each picture whole."""
    (run,) = [path for path in (directory / "out").iterdir() if path.is_dir()]
    sizes = {}
    for path in (*run.glob("*.png"), *run.glob("*.jpg")):
        with Image.open(path) as image:
            image.load()
            sizes[path.name] = image.size
    return sizes
