"""The bundles of the Lambda functions: our own modules and what they need, for Lambda's platform.

A function's folder is read-only, so Lambda cannot cache byte code there. Bundles contain it if this machine has
Lambda's Python to compile it with.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from aws_cdk import AssetHashType
from aws_cdk import aws_lambda as lambda_

from runtimes.catalog import RuntimeCatalog
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed

PYTHON = "3.14"
"""Lambda's Python version, which ``cdk.python_function`` sets."""
_WHEELS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
"""Lambda's system has glibc 2.34 (Amazon Linux 2023)."""
PLATFORM = (
    *(word for name in _WHEELS for word in ("--platform", name)),
    *("--implementation", "cp", "--python-version", PYTHON),
)
"""pip's options for Lambda's processor and Python."""

Package = Literal["agent", "api", "courier", "icons", "keeper"]

_ROOT = Path(__file__).resolve().parent.parent
_LOCKS = {name: _ROOT / "requirements" / f"{name}.txt" for name in ("agent", "api", "courier", "icons")}
_LOCKS["keeper"] = _LOCKS["api"]
"""The libraries of each bundle."""
_CACHE = _ROOT / ".local" / "lambda"
_API = (
    "contract/*.py",
    "jobs/*.py",
    "courier/**/*.py",
    "runtimes/[!_]*.py",
    "runtimes/__init__.py",
    *(f"runtimes/{name}/*.py" for name in RUNTIME_TYPES),
    "runtimes/*/samples/first.json",
    "api/**/*.py",
    "api/**/*.html",
    "api/stream_wrapper",
)
_CARRIED = {
    "agent": (
        "contract/*.py",
        "egress/*.py",
        "jobs/*.py",
        "queue_agent/**/*.py",
        "runtimes/*.py",
        *(f"runtimes/{name}/*.py" for name in RUNTIME_TYPES),
        *(f"runtimes/{name}/driver/*.py" for name in RUNTIME_TYPES),
    ),
    "api": _API,
    "courier": ("contract/*.py", "egress/*.py", "jobs/*.py", "courier/**/*.py"),
    "icons": (
        *_API,
        "icons/*.py",
        "icons/*.json",
        "icons/index/*.py",
        "icons/starter/__init__.py",
        "icons/starter/library.json",
        "icons/starter/svg/*/*.svg",
    ),
    "keeper": ("contract/*.py", "jobs/*.py", "keeper/*.py"),
}
"""Our modules in each bundle, and what they read."""
_CONSOLE = "console/built/*"
_PROGRAMS = frozenset({"api/stream_wrapper"})
"""What of them Lambda starts itself."""
_NEEDLESS = ("bin", "*.dist-info", "pydantic/v1", "dateutil/zoneinfo", "urllib3/contrib/emscripten")
_SERVICES = ("dynamodb", "s3", "secretsmanager", "sns", "sqs")
"""The services that handlers call; botocore describes hundreds, three quarters of a bundle."""
_MANAGED_SERVICES = tuple(
    sorted({one.hosting.service for one in RUNTIME_TYPES.values() if isinstance(one.hosting, Managed)})
)
"""Those that run the jobs of managed types, which agents call too."""
_FURTHER_SERVICES = {"agent": _MANAGED_SERVICES, "icons": ("bedrock-runtime", "s3vectors")}
"""What the handlers of a package call besides."""
_TASK_FOLDER = "/var/task"
"""Where Lambda puts a bundle; tracebacks name it."""


class BundleError(Exception):
    """A bundle could not be made. The message says why."""


def lambda_code(package: Package, catalog: RuntimeCatalog | None = None, *, console: bool = False) -> lambda_.Code:
    """The bundle of one package's handlers, made without Docker; see ``stage``."""
    folder = stage(package, catalog, cache=_CACHE, platform=PLATFORM, compiler=_compiler(), console=console)
    return lambda_.Code.from_asset(str(folder), asset_hash_type=AssetHashType.CUSTOM, asset_hash=folder.name)


def stage(
    package: Package,
    catalog: RuntimeCatalog | None,
    *,
    cache: Path,
    platform: tuple[str, ...],
    compiler: str | None,
    console: bool = False,
) -> Path:
    """Put a bundle's files into a folder named after their content; one that is there is used again.

    Args:
        package: The package of handlers.
        catalog: Goes into the bundle as runtimes.json: a function's environment has room for no more than 4 KB.
        cache: The folder of bundles.
        platform: pip's arguments for the platform.
        compiler: A CPython of Lambda's version that compiles the modules; None leaves them as they are.
        console: Whether the console's files go into the bundle.

    Raises:
        BundleError: pip does not give what the package needs, or a module of it cannot be compiled.
    """
    carried = (*_CARRIED[package], *([_CONSOLE] if console else []))
    own = {str(path.relative_to(_ROOT)): path.read_bytes() for pattern in carried for path in _ROOT.glob(pattern)}
    if catalog is not None:
        own["runtimes.json"] = catalog.to_json().encode()
    services = (*_SERVICES, *_FURTHER_SERVICES.get(package, ()))
    libraries = _libraries(_LOCKS[package], cache, platform, services)

    def fill(folder: Path) -> None:
        shutil.copytree(libraries, folder, copy_function=os.link, dirs_exist_ok=True)
        for name, content in own.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if name in _PROGRAMS:
                target.chmod(0o755)
        if compiler is not None:
            compile_all(compiler, folder)

    return _made_once(cache / f"{package}-{_digest(own, libraries.name, 'compiled' if compiler else '')}", fill)


def _libraries(lock: Path, cache: Path, platform: tuple[str, ...], services: tuple[str, ...]) -> Path:
    """A folder with the libraries of a lock, of botocore's services these alone, for all bundles that need them."""

    def fill(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        locked = ["--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", str(lock)]
        run = _run([*pip, *locked, *platform, "--target", str(folder)])
        if run.returncode:
            raise BundleError(f"pip could not install {lock.name} for Lambda:\n{run.stderr.strip()}")
        needless = [path for path in folder.glob("botocore/data/*") if path.is_dir() and path.name not in services]
        for path in (*needless, *(path for pattern in _NEEDLESS for path in folder.glob(pattern))):
            shutil.rmtree(path)

    settings = (*platform, *_NEEDLESS, *services)
    return _made_once(cache / f"libraries-{_digest({'lock': lock.read_bytes()}, *settings)}", fill)


def compile_all(compiler: str, folder: Path) -> None:
    """Write byte code beside the modules of a folder; it is loaded without a look at the modules' times.

    Raises:
        BundleError: A module is not Python of the compiler's version.
    """
    how = ["-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", _TASK_FOLDER]
    run = _run([compiler, "-I", "-m", "compileall", *how, str(folder)])
    if run.returncode:
        raise BundleError(f"{compiler} could not compile {folder.name}:\n{run.stdout.strip()}")


@functools.cache
def _compiler() -> str | None:
    found = compiler_of(PYTHON)
    if found is None:
        print(
            f"This machine has no Python {PYTHON} to compile for Lambda; a cold start takes about 0.3 s longer. "
            f"To avoid that, install python{PYTHON} (or run: uv python install {PYTHON}) and deploy again.",
            file=sys.stderr,
        )
    return found


def compiler_of(version: str) -> str | None:
    """Find a release of CPython of a version such as "3.14"; None if this machine has none."""
    asked = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:4])"
    for candidate in _interpreters(version):
        answer = _run([candidate, "-I", "-c", asked]).stdout
        if answer.startswith(f"CPython {version.replace('.', ' ')} ") and answer.endswith(" final\n"):
            return candidate
    return None


def _interpreters(version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    if uv := shutil.which("uv"):
        run = _run([uv, "python", "find", "--no-python-downloads", "--no-project", version])
        if path := run.stdout.strip():
            yield path


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing from outside


def _digest(files: Mapping[str, bytes], *settings: str) -> str:
    digest = hashlib.sha256("\n".join(settings).encode())
    for name, content in sorted(files.items()):
        digest.update(f"\n{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:32]


def _made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Make a folder unless it is there; it appears whole, even if two processes make it at the same time."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            content = Path(draft) / folder.name
            content.mkdir()
            fill(content)
            if not folder.exists():
                content.replace(folder)
    return folder
