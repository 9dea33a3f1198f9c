"""``python -m test.console``: builds the console again, and runs it in Chromium before a platform with stand-ins."""

import filecmp
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from console.build import BUILT, FOLDER, build, check, install, node
from test.kit.processes import ROOT
from test.kit.up import LocalUp

HERE = Path(__file__).resolve().parent
REPORT = ROOT / ".local" / "test" / "console.xml"
MAX_SCREENSHOT_BYTES = 150_000
RUNTIMES = ("draw", "paint", "flow")


def stale_files(again: Path) -> list[str]:
    """What of the built files differs from those that the sources make."""
    names = {path.name for folder in (again, BUILT) for path in folder.iterdir()}
    _, differing, missing = filecmp.cmpfiles(again, BUILT, sorted(names), shallow=False)
    return [*differing, *missing]


def run_playwright(up: LocalUp, arguments: list[str]) -> int:
    """Run the specs; what they need to know of the platform is in the environment."""
    standins = {name: up.environment_of(f"queue_agent {name}")["API_BASE_URL"] for name in RUNTIMES}
    environment = {
        **os.environ,
        "SD_URL": up.target.endpoint.rstrip("/"),
        "SD_API_KEY": up.target.api_key,
        "SD_ADMIN_KEY": (up.state / "ops.key").read_text().strip(),
        "STANDINS": json.dumps(standins),
        "PYTHON": sys.executable,
        "PLAYWRIGHT_JUNIT_OUTPUT_FILE": str(REPORT),
    }
    command = [node() / "bin" / "node", HERE / "node_modules" / "@playwright" / "test" / "cli.js", "test", *arguments]
    return subprocess.run(command, cwd=HERE, env=environment, check=False).returncode


def shrink_screenshots() -> None:
    """Keep the documentation's pictures small: 256 colours are enough for a page, dithered where that stays small."""
    for path in (ROOT / "docs" / "images").glob("console-*.png"):
        with Image.open(path) as image:
            page = image.convert("RGB")
        few = page.quantize(256)
        page.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        if path.stat().st_size > MAX_SCREENSHOT_BYTES:
            few.save(path, optimize=True)


def main(arguments: list[str]) -> int:
    """Run all; further arguments are Playwright's, such as the name of a spec."""
    install(FOLDER)
    install(HERE)
    with tempfile.TemporaryDirectory() as folder:
        up = LocalUp(Path(folder), f"--config={HERE / 'config.yaml'}")
        try:
            check()
            again = Path(folder) / "built"
            build(again)
            if stale := stale_files(again):
                print(f"console/built is not what its sources make: {', '.join(stale)}. Run: make console")
                return 1
            up.wait_ready()
            status = run_playwright(up, arguments)
            if "SCREENSHOTS" in os.environ:
                shrink_screenshots()
            return status
        finally:
            up.end(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
