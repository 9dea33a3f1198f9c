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
from cdk.bundles import BundleError, compile_all, compiler_of
from local.sandbox import sandbox_environment
from runtimes.catalog import RuntimeCatalog

CATALOG = config_of().catalog
HERE = ()
"""pip's arguments for this machine's own platform."""
COMPILER = sys.executable
MAX_ZIP_BYTES = 6 * 1024**2
ENVIRONMENT = {
    "TASK_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:tasks",
    "NOTICE_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:notices",
    "OUTPUT_BUCKET": "b",
    "JOBS_TABLE": "t",
    "START_TIMEOUT_S": "1",
}


@pytest.fixture(scope="module")
def staged():
    """Bundles by package and platform, where synthesis keeps them: only the first run on a machine asks PyPI."""

    def stage(package, platform, compiler=None):
        catalog = CATALOG if package == "api" else None
        cache = Path(".local/lambda").resolve()
        return bundles.stage(package, catalog, cache=cache, platform=platform, compiler=compiler)

    return stage


@pytest.fixture(scope="module")
def held(staged):
    """The files of the bundles as Lambda gets them, by package."""
    return {package: files(staged(package, bundles.PLATFORM)) for package in ("api", "keeper")}


@pytest.fixture
def no_libraries(monkeypatch, tmp_path):
    """Bundles of our own modules alone."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    monkeypatch.setattr(bundles, "_libraries", lambda cache, platform: libraries)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run_in(folder, program):
    """Run a program with nothing on its path but a bundle."""
    environment = sandbox_environment("http://127.0.0.1:9") | ENVIRONMENT | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-B", "-S", "-c", program]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


def test_the_doors_bundle_is_all_that_it_needs_and_knows_the_runtimes(staged):
    task = {"metadata": {"id": "t", "runtime": "elsewhere", "tasktype": "pipeline"}, "content": {}}
    event = {
        "path": "/v1alpha2",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"task": task}),
        "requestContext": {"identity": {"apiKeyId": "key0id0000"}},
    }
    ran = run_in(staged("api", HERE), f"import api.handlers; print(api.handlers.handler({event!r}, None))")
    assert all(name in ran.stdout for name in CATALOG.names), ran.stderr


def test_the_keepers_bundle_is_all_that_it_needs(staged):
    ran = run_in(staged("keeper", HERE), "from keeper.handlers import exhausted_handler, reaper_handler")
    assert ran.returncode == 0, ran.stderr


def test_a_bundle_holds_our_modules_for_its_handlers_alone_and_nothing_that_none_reads(held):
    folders = {path.partition("/")[0] for path in held["api"]}
    assert {"api", "contract", "jobs", "runtimes", "runtimes.json"} <= folders
    assert not {"keeper", "queue_agent", "local", "test", "cdk", "configuration"} & folders
    assert "runtimes.json" not in held["keeper"]
    for paths in held.values():
        needless = ("configuration/", "yaml/", "bin/")
        assert not [path for path in paths if path.startswith(needless) or path.endswith(".pyc")]


def test_a_bundles_binaries_are_for_the_processor_and_python_of_our_functions(held, stack):
    functions = [one for one in stack.properties("AWS::Lambda::Function").values() if "python3.14" in one["Runtime"]]
    assert {(*one["Architectures"], one["Runtime"]) for one in functions} == {("arm64", f"python{bundles.PYTHON}")}
    binaries = [path for path in held["api"] if path.endswith(".so")]
    assert binaries
    assert all(f".cpython-{bundles.PYTHON.replace('.', '')}-aarch64-" in path for path in binaries)


@pytest.mark.parametrize("package", ["api", "keeper"])
def test_a_bundle_is_small_enough_to_be_loaded_quickly(staged, package, tmp_path):
    folder, archive = staged(package, HERE, COMPILER), tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name in files(folder):
            target.write(folder / name, name)
    assert archive.stat().st_size < MAX_ZIP_BYTES


def bundle(cache, catalog=CATALOG, compiler=None):
    return bundles.stage("api", catalog, cache=cache, platform=HERE, compiler=compiler)


@pytest.mark.usefixtures("no_libraries")
def test_a_bundle_is_used_again_until_its_content_changes_wherever_it_is_made(tmp_path, monkeypatch):
    first, second = (bundle(tmp_path / name) for name in ("one", "other"))
    assert first.name == second.name
    assert files(first) == files(second)
    (first / "mark").touch()
    assert (bundle(tmp_path / "one") / "mark").exists()
    assert bundle(tmp_path, compiler=COMPILER).name != first.name
    assert bundle(tmp_path, RuntimeCatalog(list(CATALOG)[1:])).name != first.name
    changed = tmp_path / "source"
    for folder in ("api", "contract", "jobs", "runtimes"):
        shutil.copytree(folder, changed / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bundles, "_ROOT", changed)
    assert bundle(tmp_path).name == first.name
    (changed / "api" / "more.py").touch()
    assert bundle(tmp_path).name != first.name


def test_every_module_of_a_bundle_has_byte_code_that_names_lambdas_folder(staged):
    folder, compiled = staged("api", HERE, COMPILER), {}
    for path in folder.rglob("*.pyc"):
        module = path.parent.parent / f"{path.name.partition('.')[0]}.py"
        compiled[str(module.relative_to(folder))] = marshal.loads(path.read_bytes()[16:]).co_filename
    assert set(compiled) == {name for name in files(folder) if name.endswith(".py")}
    assert set(compiled.values()) == {f"/var/task/{name}" for name in compiled}


def test_byte_code_is_what_is_loaded_whatever_the_time_of_its_module(staged, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(staged("api", HERE, COMPILER), folder)
    for module in folder.rglob("*.py"):
        changed = module.read_text(encoding="utf-8") + "\nraise SystemExit('read again')\n"
        module.unlink()  # bundles share their libraries' files
        module.write_text(changed, encoding="utf-8")
    ran = run_in(folder, "import api.handlers")
    assert ran.returncode == 0, ran.stderr


def test_a_module_that_is_no_python_is_told_and_leaves_no_bundle(tmp_path):
    (tmp_path / "bad.py").write_text("def\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"(?s)could not compile.*bad\.py"):
        compile_all(COMPILER, tmp_path)


def interpreter(folder, name, answer):
    """A program that answers with a line."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


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
    found = interpreter(tmp_path, "python3.99" if found_by == "python3.99" else "elsewhere", answer)
    if found_by == "uv":
        interpreter(tmp_path, "uv", found)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler_of("3.99") == (found if taken else None)
    assert compiler_of(f"3.{sys.version_info.minor}") == sys.executable


def test_where_no_such_python_is_bundles_are_made_without_and_it_is_said_once(monkeypatch, capsys):
    monkeypatch.setattr(bundles, "compiler_of", lambda version: None)
    bundles._compiler.cache_clear()
    try:
        assert bundles._compiler() is bundles._compiler() is None
    finally:
        bundles._compiler.cache_clear()
    assert capsys.readouterr().err.count(f"install python{bundles.PYTHON}") == 1


def test_what_pip_refuses_is_told_in_its_words_and_leaves_nothing(tmp_path, monkeypatch):
    lock = tmp_path / "lock.txt"
    lock.write_text("pydantic==2.0\n")  # without a hash
    monkeypatch.setattr(bundles, "_LOCK", lock)
    with pytest.raises(BundleError, match=r"(?s)lock.txt.*hash"):
        bundles.stage("api", CATALOG, cache=tmp_path / "cache", platform=HERE, compiler=None)
    assert list((tmp_path / "cache").iterdir()) == []
