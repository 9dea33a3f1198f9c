import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from infrakit.platform import config_of

from cdk import lambda_code
from contract.catalog import RuntimeCatalog
from local.sandbox import sandbox_environment

CATALOG = config_of().catalog
HERE = ()
"""pip's arguments for this machine's own platform."""
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

    def stage(package, platform):
        catalog = CATALOG if package == "api" else None
        return lambda_code.stage(package, catalog, cache=Path(".local/lambda").resolve(), platform=platform)

    return stage


@pytest.fixture(scope="module")
def bundles(staged):
    """The bundles as Lambda gets them, by package."""
    return {package: staged(package, lambda_code.PLATFORM) for package in ("api", "keeper")}


@pytest.fixture
def no_libraries(monkeypatch, tmp_path):
    """Bundles of our own modules alone."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    monkeypatch.setattr(lambda_code, "_libraries", lambda cache, platform: libraries)


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def run_in(folder, program):
    """Run a program with nothing on its path but a bundle."""
    environment = sandbox_environment("http://127.0.0.1:9") | ENVIRONMENT | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-B", "-S", "-c", program]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("package", "handlers"), [("api", ["handler"]), ("keeper", ["returned_handler", "reaper_handler"])]
)
def test_a_bundle_is_all_that_its_handlers_need(staged, package, handlers):
    ran = run_in(staged(package, HERE), f"from {package}.handlers import {', '.join(handlers)}")
    assert ran.returncode == 0, ran.stderr


def test_the_door_in_its_bundle_knows_the_runtimes(staged):
    program = "import api.handlers, json; print(json.dumps(api.handlers._door._catalog.names))"
    assert json.loads(run_in(staged("api", HERE), program).stdout) == CATALOG.names


def test_a_bundle_holds_our_modules_for_its_handlers_alone(bundles):
    folders = {path.partition("/")[0] for path in files(bundles["api"])}
    assert {"api", "contract", "runtimes.json"} <= folders
    assert not {"keeper", "queue_agent", "local", "test", "cdk"} & folders
    assert "runtimes.json" not in files(bundles["keeper"])


@pytest.mark.parametrize("package", ["api", "keeper"])
def test_a_bundle_has_no_yaml_no_tests_and_nothing_compiled_by_another_python(bundles, package):
    held = files(bundles[package])
    assert "contract/config_file.py" not in held
    assert not [path for path in held if path.startswith(("yaml/", "bin/")) or path.endswith(".pyc")]


def test_a_bundles_binaries_are_for_the_processor_and_python_of_all_functions(bundles, platform_template):
    functions = [one for one in platform_template["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    [(runtime, processor)] = {(one["Properties"]["Runtime"], *one["Properties"]["Architectures"]) for one in functions}
    assert processor == "arm64"
    version = runtime.removeprefix("python").replace(".", "")
    binaries = [path for path in files(bundles["api"]) if path.endswith(".so")]
    assert binaries
    assert all(f".cpython-{version}-aarch64-" in path for path in binaries)


@pytest.mark.parametrize("package", ["api", "keeper"])
def test_a_bundle_is_small_enough_to_be_loaded_quickly(bundles, package, tmp_path):
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name in files(bundles[package]):
            target.write(bundles[package] / name, name)
    assert archive.stat().st_size < MAX_ZIP_BYTES


def bundle(cache, catalog=CATALOG):
    return lambda_code.stage("api", catalog, cache=cache, platform=HERE)


@pytest.mark.usefixtures("no_libraries")
def test_the_same_content_gives_the_same_hash_wherever_and_whenever_it_is_bundled(tmp_path):
    first, second = (bundle(tmp_path / name) for name in ("one", "other"))
    assert first.name == second.name
    assert files(first) == files(second)


@pytest.mark.usefixtures("no_libraries")
def test_another_catalog_gives_another_hash(tmp_path):
    fewer = RuntimeCatalog(list(CATALOG)[1:])
    assert bundle(tmp_path).name != bundle(tmp_path, fewer).name


@pytest.mark.usefixtures("no_libraries")
def test_another_line_in_a_module_gives_another_hash(tmp_path, monkeypatch):
    changed = tmp_path / "source"
    for folder in ("api", "contract"):
        shutil.copytree(folder, changed / folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = bundle(tmp_path).name
    monkeypatch.setattr(lambda_code, "_ROOT", changed)
    monkeypatch.setattr(lambda_code, "_NEEDS_YAML", changed / "contract" / "config_file.py")
    assert bundle(tmp_path).name == before
    with (changed / "api" / "door.py").open("a", encoding="utf-8") as module:
        module.write("# more\n")
    assert bundle(tmp_path).name != before


@pytest.mark.usefixtures("no_libraries")
def test_a_bundle_that_is_there_is_used_again(tmp_path):
    folder = bundle(tmp_path)
    (folder / "mark").touch()
    assert (bundle(tmp_path) / "mark").exists()


def test_what_pip_refuses_is_told_in_its_words_and_leaves_nothing(tmp_path, monkeypatch):
    lock = tmp_path / "lock.txt"
    lock.write_text("pydantic==2.0\n")  # without a hash
    monkeypatch.setattr(lambda_code, "_LOCK", lock)
    with pytest.raises(lambda_code.BundleError, match=r"(?s)lock.txt.*hash"):
        lambda_code.stage("api", CATALOG, cache=tmp_path / "cache", platform=HERE)
    assert list((tmp_path / "cache").iterdir()) == []
