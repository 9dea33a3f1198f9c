"""The bundles of functions: all that their handlers need and no more, with byte code, the same wherever made."""

import json
import marshal
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from infrakit.stacks import config_of

from cdk import bundles
from cdk.bundles import BundleError, compiler_of
from local.sandbox import sandbox_environment
from runtimes.catalog import RuntimeCatalog
from runtimes.registry import RUNTIME_TYPES
from runtimes.spec import Managed

CATALOG = config_of().catalog
HERE = ()
"""pip's arguments for this machine's own platform."""
MAX_ZIP_BYTES = 7 * 1024**2
MAX_AGENT_BYTES = 60 * 1024**2
"""Unpacked; a cold start reads a part of it."""
ENVIRONMENT = {
    "TASK_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:tasks",
    "NOTICE_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:notices",
    "OUTPUT_BUCKET": "b",
    "JOBS_TABLE": "t",
    "START_TIMEOUT_S": "1",
    "SIGNING_SECRET": "secret",
    "COURIER_QUEUE_URL": "http://127.0.0.1:9/queue",
    "COURIER_DEAD_QUEUE_URL": "http://127.0.0.1:9/dead",
}


def bundle(package="api", *, platform=HERE, compiler=None, catalog=CATALOG, cache=None, console=False):
    """Make a bundle, by default where synthesis keeps them: only the first run on a machine asks PyPI."""
    known = catalog if package in {"api", "icons"} else None
    cache = cache or Path(".local/lambda").resolve()
    return bundles.stage(package, known, cache=cache, platform=platform, compiler=compiler, console=console)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run_in(folder, program):
    """Run a program with nothing on its path but a bundle."""
    environment = sandbox_environment("http://127.0.0.1:9") | ENVIRONMENT | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-B", "-S", "-c", program]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


def test_the_doors_bundle_is_all_that_it_needs_and_knows_the_runtimes():
    task = {"metadata": {"id": "t", "runtime": "elsewhere", "tasktype": "pipeline"}, "content": {}}
    event = {
        "path": "/v1alpha2",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"task": task}),
        "requestContext": {"identity": {"apiKeyId": "key0id0000"}},
    }
    ran = run_in(bundle(), f"import api.handlers; print(api.handlers.handler({event!r}, None))")
    assert all(name in ran.stdout for name in CATALOG.names), ran.stderr


@pytest.mark.parametrize(("path", "expected"), [("/v1/openapi.json", "example"), ("/v1/docs", "<script>")])
def test_the_doors_bundle_describes_its_api(path, expected):
    event = {"path": path, "httpMethod": "GET", "requestContext": {}}
    ran = run_in(bundle(), f"import api.handlers; print(api.handlers.handler({event!r}, None))")
    assert expected in ran.stdout, ran.stderr


def test_the_doors_bundle_has_the_console_where_the_settings_ask_for_it():
    event = {"path": "/console", "httpMethod": "GET", "requestContext": {}}
    program = f"import api.handlers; print(api.handlers.handler({event!r}, None)['statusCode'])"
    assert [run_in(bundle(console=console), program).stdout for console in (True, False)] == ["200\n", "404\n"]


def test_what_streams_is_started_by_lambdas_own_python_in_the_bundle(tmp_path):
    python, folder = tmp_path / "python", bundle(compiler=sys.executable)
    python.write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    python.chmod(0o755)
    program, its_own_loop = folder / "api" / "stream_wrapper", "/var/runtime/bootstrap.py"
    ran = subprocess.run(
        [program, python, its_own_loop],
        env={"LAMBDA_TASK_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == f"{folder} -m api.stream_handler\n"


@pytest.mark.parametrize(
    ("package", "handlers"),
    [
        ("api", "from api.authorizer import handler; from api.stream_handler import main"),
        (
            "api",
            "from importlib import import_module; from api.faces import FACES; "
            "[import_module(module) for module, _ in FACES.values()]",
        ),
        (
            "icons",
            "import botocore.session as b, api.operations.icons as i; assert (i.STARTER / 'library.json').is_file(); "
            "[b.Session().get_service_model(name) for name in ('s3vectors', 'bedrock-runtime')]",
        ),
        ("courier", "from courier.handlers import queue_handler, stream_handler"),
        ("keeper", "from keeper.handlers import exhausted_handler, reaper_handler"),
    ],
)
def test_a_bundle_is_all_that_its_handlers_need(package, handlers):
    ran = run_in(bundle(package), handlers)
    assert ran.returncode == 0, ran.stderr


def test_a_bundle_holds_our_modules_and_binaries_for_its_handlers_and_platform_alone(stack):
    held = {package: files(bundle(package, platform=bundles.PLATFORM)) for package in ("api", "courier", "keeper")}
    folders = {path.partition("/")[0] for path in held["api"]}
    assert {"api", "contract", "jobs", "runtimes", "runtimes.json"} <= folders
    assert not {"keeper", "queue_agent", "local", "test", "cdk", "configuration"} & folders
    assert not [package for package in ("courier", "keeper") if "runtimes.json" in held[package]]
    for paths in held.values():
        needless = ("configuration/", "yaml/", "bin/")
        assert not [path for path in paths if path.startswith(needless) or path.endswith(".pyc")]
    functions = [one for one in stack.properties("AWS::Lambda::Function").values() if "python3.14" in one["Runtime"]]
    assert {(*one["Architectures"], one["Runtime"]) for one in functions} == {("arm64", f"python{bundles.PYTHON}")}
    binaries = [path for path in held["api"] if path.endswith(".so")]
    assert binaries
    assert all(f".cpython-{bundles.PYTHON.replace('.', '')}-aarch64-" in path for path in binaries)


def test_the_agents_bundle_has_every_driver_and_binaries_for_lambdas_platform(tmp_path):
    folder = bundle("agent", platform=bundles.PLATFORM)
    held = files(folder)
    for runtime_type in RUNTIME_TYPES.values():
        assert f"{runtime_type.driver.partition(':')[0].replace('.', '/')}.py" in held
        if isinstance(runtime_type.hosting, Managed):
            assert [path for path in held if path.startswith(f"botocore/data/{runtime_type.hosting.service}/")]
    assert not {"api", "keeper", "courier", "local", "test", "cdk", "configuration"} & {
        path.partition("/")[0] for path in held
    }
    assert not [path for path in held if path.endswith(".so") and "x86" in path]
    unpacked = sum((folder / path).stat().st_size for path in held)
    assert unpacked < MAX_AGENT_BYTES


def test_a_bundle_is_used_again_until_its_content_changes_wherever_it_is_made(tmp_path, monkeypatch):
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    monkeypatch.setattr(bundles, "_libraries", lambda *_: libraries)
    first, second = (bundle(cache=tmp_path / name) for name in ("one", "other"))
    assert first.name == second.name
    assert files(first) == files(second)
    (first / "mark").touch()
    assert (bundle(cache=tmp_path / "one") / "mark").exists()
    assert bundle(cache=tmp_path, compiler=sys.executable).name != first.name
    assert bundle(cache=tmp_path, catalog=RuntimeCatalog(list(CATALOG)[1:])).name != first.name
    changed = tmp_path / "source"
    for folder in ("api", "contract", "courier", "jobs", "runtimes"):
        shutil.copytree(folder, changed / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundles, "_ROOT", changed)
    assert bundle(cache=tmp_path).name == first.name
    (changed / "api" / "more.py").touch()
    assert bundle(cache=tmp_path).name != first.name


def test_byte_code_of_every_module_names_lambdas_folder_and_is_loaded_whatever_its_modules_time(tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle(compiler=sys.executable), folder)
    compiled = {}
    for path in folder.rglob("*.pyc"):
        module = path.parent.parent / f"{path.name.partition('.')[0]}.py"
        compiled[str(module.relative_to(folder))] = marshal.loads(path.read_bytes()[16:]).co_filename
    assert compiled == {name: f"/var/task/{name}" for name in files(folder) if name.endswith(".py")}
    for name in compiled:
        changed = (folder / name).read_text(encoding="utf-8") + "\nraise SystemExit('read again')\n"
        (folder / name).write_text(changed, encoding="utf-8")
    ran = run_in(folder, "import api.handlers")
    assert ran.returncode == 0, ran.stderr


def test_a_bundle_is_small_enough_to_be_loaded_quickly(tmp_path):
    folder, archive = bundle(compiler=sys.executable), tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name in files(folder):
            target.write(folder / name, name)
    assert archive.stat().st_size < MAX_ZIP_BYTES


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ("CPython 3 99 2 final", True),
        ("CPython 3 99 0 beta", False),
        ("CPython 3 98 2 final", False),
        ("PyPy 3 99 2 final", False),
    ],
)
@pytest.mark.parametrize("found_by", ["python3.99", "uv"])
def test_a_release_of_lambdas_python_compiles_and_no_other(tmp_path, monkeypatch, found_by, answer, taken):
    found = tmp_path / ("python3.99" if found_by == "python3.99" else "elsewhere")
    for program, line in {found: answer, tmp_path / found_by: answer if found_by != "uv" else found}.items():
        program.write_text(f"#!/bin/sh\necho {line}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler_of("3.99") == (str(found) if taken else None)
    assert compiler_of(f"3.{sys.version_info.minor}") == sys.executable


@pytest.mark.parametrize(
    ("lock", "compiler", "said"),
    [("pydantic==2.0", None, "(?s)lock.txt.*hash"), ("", "/bin/false", "could not compile")],
)
def test_what_pip_or_the_compiler_refuses_is_told_and_leaves_no_bundle(tmp_path, monkeypatch, lock, compiler, said):
    (tmp_path / "lock.txt").write_text(f"{lock}\n")
    monkeypatch.setattr(bundles, "_LOCKS", {"api": tmp_path / "lock.txt"})
    with pytest.raises(BundleError, match=said):
        bundle(cache=tmp_path / "cache", compiler=compiler)
    assert not list((tmp_path / "cache").glob("api-*"))
