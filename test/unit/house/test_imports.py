"""Who may import whom (docs/architecture.md), read from the code itself."""

import ast
from pathlib import Path

import pytest

DEPLOYABLES = ("api", "keeper", "queue_agent", "cdk", "deploy", "runtimes")
PACKAGES = (*DEPLOYABLES, "contract", "local")
MODULES = sorted(path for package in PACKAGES for path in Path(package).rglob("*.py"))
AGENT_LEAVES = ("queue_agent.errors", "queue_agent.settings", "queue_agent.ports", "queue_agent.media")
AGENT_EDGES = ("queue_agent.aws", "queue_agent.runtimes", "queue_agent.inputs", "queue_agent.telemetry")
CLIENT_LIBRARIES = {
    "queue_agent/aws": {"aiobotocore", "botocore", "aiohttp"},  # aiohttp is what aiobotocore speaks through
    "queue_agent/runtimes": {"aiohttp", "websockets", "tenacity"},
    "queue_agent/inputs": {"httpx"},
    "queue_agent/telemetry": {"opentelemetry", "prometheus_client"},
}
ALL_CLIENT_LIBRARIES = set().union(*CLIENT_LIBRARIES.values()) | {"boto3", "aiohttp"}


def name_of(path):
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports_of(path):
    """Dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_deployable_imports_contract_and_itself_alone(path):
    package = path.parts[0]
    allowed = {"contract", package} | ({*DEPLOYABLES} if package == "local" else set())
    foreign = {name for name in imports_of(path) if within(name, *PACKAGES, "test")} - {
        name for name in imports_of(path) if within(name, *allowed)
    }
    assert not foreign


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] == "contract"], ids=str)
def test_contract_imports_pydantic_and_yaml_and_the_standard_library_alone(path):
    import sys

    outside = {name.partition(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
    assert outside <= {"contract", "pydantic", "yaml"}


def test_what_the_lambda_carries_does_not_import_the_yaml_loader():
    carried = [
        path for path in MODULES if path.parts[0] in {"api", "keeper", "contract"} and path.name != "config_file.py"
    ]
    for path in carried:
        assert not {name for name in imports_of(path) if within(name, "yaml", "contract.config_file")}, path


def test_the_keeper_needs_nothing_but_botocore_and_the_contract():
    import sys

    for path in (path for path in MODULES if path.parts[0] == "keeper"):
        outside = {name.partition(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
        assert outside <= {"contract", "keeper", "botocore"}, path


@pytest.mark.parametrize("leaf", AGENT_LEAVES)
def test_the_agents_leaves_do_no_io(leaf):
    imported = set(imports_of(Path(*leaf.split(".")).with_suffix(".py")))
    assert not {
        name for name in imported if name.partition(".")[0] in ALL_CLIENT_LIBRARIES | {"asyncio", "os", "socket"}
    }
    assert not {name for name in imported if within(name, "queue_agent") and not within(name, *AGENT_LEAVES)}


@pytest.mark.parametrize("module", ["pipeline", "worker", "line", "forecast", "lease", "message", "results"])
def test_the_agents_pipeline_knows_no_edge(module):
    imported = set(imports_of(Path(f"queue_agent/{module}.py")))
    assert not {name for name in imported if within(name, *AGENT_EDGES)}
    assert not {name for name in imported if name.partition(".")[0] in ALL_CLIENT_LIBRARIES}


@pytest.mark.parametrize("folder", CLIENT_LIBRARIES)
def test_each_edge_of_the_agent_uses_its_own_client_libraries_alone(folder):
    for path in Path(folder).rglob("*.py"):
        used = {name.partition(".")[0] for name in imports_of(path)} & ALL_CLIENT_LIBRARIES
        assert used <= CLIENT_LIBRARIES[folder], path


def test_only_the_composition_roots_of_deployables_read_the_environment():
    for path in MODULES:
        if path.parts[0] not in {"api", "queue_agent", "contract", "keeper"}:
            continue
        text = path.read_text(encoding="utf-8")
        if "os.environ" in text or "os.getenv" in text:
            assert str(path) in {"api/handlers.py", "keeper/handlers.py", "queue_agent/__main__.py"}, path


def test_every_runtime_type_has_its_driver_and_image_folders():
    from contract.runtimes import RUNTIME_TYPES

    for runtime_type in RUNTIME_TYPES.values():
        module, _, name = runtime_type.driver.partition(":")
        assert f"class {name}" in Path(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
